"""What stands in the log after somebody's whole visit: what happened, and nothing about whom it happened to."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from server.keys import POOL
from server.telemetry import configure_logging
from tests.server.house import House, open_house
from tests.server.rest.cinema import fresh_key, open_counter

EMAIL, PASSWORD, NAME, PHONE = "secret.person@example.com", "battery staple correct", "Zaphod Privatus", "+919812345678"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything is logged, as JSON, to here."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers.clear()  # or they would be closed
    configure_logging("debug", "json")
    log = io.StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(log)
    yield log
    root.handlers[:], root.level = before
    structlog.reset_defaults()


async def test_a_visit_leaves_no_token_and_no_personal_data(database_url: str, written: io.StringIO) -> None:
    async with open_house(database_url) as house:
        secrets = await _visit(house)
        await _misbehave(house, secrets[0])
    log = written.getvalue()
    assert "unavailable" in log
    assert "malformed_request" in log
    assert "decode content-encoding" not in log
    for line in log.splitlines():
        json.loads(line)
    for secret in (EMAIL, PASSWORD, NAME, PHONE, *secrets):
        assert secret not in log


async def _visit(house: House) -> tuple[str, str]:
    counter = await open_counter(house)
    ana = await house.member(email=EMAIL, password=PASSWORD, display_name=NAME, phone=PHONE)
    token = ana["access_token"]
    await house.post("/auth/login", {"email": EMAIL, "password": "wrong"})
    await house.post("/auth/login", {"email": EMAIL, "password": PASSWORD})
    held = await house.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1"]}, token=token)
    hold_id = (await held.json())["hold_id"]
    contact = {"email": EMAIL, "name": NAME, "phone": PHONE}
    key = {"Idempotency-Key": fresh_key()}
    await house.post("/bookings", {"hold_id": hold_id, "contact": contact}, token=token, headers=key)
    await house.post("/auth/refresh", {"refresh_token": ana["refresh_token"]})
    return token, ana["refresh_token"]


async def _misbehave(house: House, token: str) -> None:
    """A head with a token that cannot be parsed, a body that cannot be unpacked; then the database is away."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.client.port)
    writer.write(f"GET /api/v1/auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\0\r\n\r\n".encode())
    assert b"400" in await asyncio.wait_for(reader.readline(), 30)
    writer.close()
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    path = "/api/v1/auth/login"
    assert (await house.client.post(path, data=f"not packed {EMAIL}".encode(), headers=packed)).status == 400
    await house.app[POOL].close()
    assert (await house.post("/auth/login", {"email": EMAIL, "password": PASSWORD})).status >= 500
