"""A pace that nobody exceeds for long, and pages of other origins."""

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.admission import KEPT_MAX, Pace, Paces
from server.errors import Problem
from tests.server.house import House, open_house

BOX = "https://box.example"


@pytest.fixture
async def strict_house(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    paces = Paces(callers=Pace(per_second=0.001, burst=3), addresses=Pace(per_second=0.001, burst=5))
    monkeypatch.setattr("server.app.Paces", lambda: paces)
    async with open_house(database_url) as house:
        yield house


@given(st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_no_window_holds_more_uses_than_the_burst_and_what_leaks_in_it(gaps: list[float]) -> None:
    pace, now, let_in = Pace(per_second=2, burst=5), 1_000.0, []
    for gap in gaps:
        now += gap
        with contextlib.suppress(Problem):
            pace.spend("ana", now)
            let_in.append(now)
    for i, since in enumerate(let_in):
        for j in range(i, len(let_in)):
            assert j - i + 1 <= 5 + 2 * (let_in[j] - since) + 1e-6


def test_who_waits_as_long_as_told_is_let_in() -> None:
    pace = Pace(per_second=2, burst=5)
    for _ in range(5):
        pace.spend("ana", 0.0)
    with pytest.raises(Problem) as refused:
        pace.spend("ana", 0.0)
    pace.spend("bob", 0.0)
    pace.spend("ana", float((refused.value.headers or {})["Retry-After"]))


def test_a_flood_of_callers_does_not_fill_the_memory() -> None:
    pace = Pace(per_second=1, burst=5)
    for number in range(KEPT_MAX + 10):
        pace.spend(str(number), 0.0)
    assert len(pace._empty_at) <= KEPT_MAX


def test_a_use_costs_less_than_three_microseconds() -> None:
    pace, best = Pace(per_second=1e9, burst=10**9), 1.0
    for _ in range(50):
        began = time.perf_counter()
        for _ in range(1_000):
            pace.spend("ana", began)
        best = min(best, (time.perf_counter() - began) / 1_000)
    assert best < 3e-6


async def test_a_caller_is_counted_by_account_and_a_stranger_by_address(strict_house: House) -> None:
    one, two = await strict_house.guest(), await strict_house.guest()
    for _ in range(3):
        assert (await strict_house.get("/auth/me", token=one["access_token"])).status == 200
    refused = await strict_house.get("/auth/me", token=one["access_token"])
    assert refused.status == 429
    assert (await refused.json())["code"] == "rate_limited"
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await strict_house.get("/auth/me", token=two["access_token"])).status == 200
    statuses = [(await strict_house.get("/movies")).status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]  # the guests came from there, too


async def test_wrong_tokens_are_counted_by_address(strict_house: House) -> None:
    statuses = [(await strict_house.get("/auth/me", token="wrong")).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]


async def test_pages_of_a_named_origin_may_ask_and_see_what_they_need(database_url: str) -> None:
    async with open_house(database_url, cors_origins=(BOX,)) as house:
        asked = {"Origin": BOX, "Access-Control-Request-Method": "POST"}
        leave = await house.ask("OPTIONS", "/bookings", headers=asked)
        assert leave.status == 204
        assert leave.headers["Access-Control-Allow-Origin"] == BOX
        assert "POST" in leave.headers["Access-Control-Allow-Methods"]
        assert "Idempotency-Key" in leave.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in leave.headers
        for path in ("/movies", "/bookings", "/nowhere"):
            answer = await house.get(path, headers={"Origin": BOX})
            assert answer.headers["Access-Control-Allow-Origin"] == BOX, path
            assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
            assert "Origin" in answer.headers["Vary"]


async def test_other_origins_get_no_leave(database_url: str) -> None:
    async with open_house(database_url, cors_origins=(BOX,)) as house:
        other = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        for method in ("OPTIONS", "GET"):
            answer = await house.ask(method, "/bookings", headers=other)
            assert "Access-Control-Allow-Origin" not in answer.headers
    async with open_house(database_url) as house:
        answer = await house.get("/movies", headers={"Origin": BOX})
        assert "Access-Control-Allow-Origin" not in answer.headers
