"""A whole house for tests: the application over a fresh database, on a real socket, with a client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from aiohttp import ClientResponse, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from server.app import HouseClock, build_app
from server.config import Config
from server.limiter import Rates

SECRET = "a secret that is only used in tests, long enough"
_numbers = count(1)


@dataclass
class House:
    app: web.Application
    client: "TestClient[Any, Any]"

    async def ask(self, method: str, path: str, *, token: str | None = None, **rest: Any) -> ClientResponse:
        headers = dict(rest.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.client.request(method, f"/api/v1{path}", headers=headers, **rest)

    async def get(self, path: str, **rest: Any) -> ClientResponse:
        return await self.ask("GET", path, **rest)

    async def post(self, path: str, json: Any = None, **rest: Any) -> ClientResponse:
        if json is not None:
            rest["json"] = json
        return await self.ask("POST", path, **rest)

    async def member(self, **given: Any) -> dict[str, Any]:
        """A freshly registered customer: the body of the answer."""
        asked = {
            "email": f"somebody{next(_numbers)}@example.com",
            "password": "correct horse battery",
            "display_name": "Some Body",
            **given,
        }
        response = await self.post("/auth/register", asked)
        assert response.status == 201, await response.text()
        body: dict[str, Any] = await response.json()
        return body

    async def guest(self) -> dict[str, Any]:
        body: dict[str, Any] = await (await self.post("/auth/guest")).json()
        return body


@asynccontextmanager
async def open_house(
    dsn: str, *, clock: HouseClock | None = None, rates: Rates | None = None, **settings: Any
) -> AsyncIterator[House]:
    config = Config(jwt_secret=SECRET, **settings)
    app = build_app(config, dsn, clock=clock, password_cost=4, rates=rates)
    async with TestClient(TestServer(app), cookie_jar=DummyCookieJar()) as client:
        yield House(app, client)
