"""A whole house for tests: the application over a fresh database, on a real socket, with a client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientResponse, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from server.app import HouseClock, build_app
from server.config import Config
from server.express import Runner
from server.keys import CONFIG, DISPATCH, JOBS
from server.limiter import Rates

SECRET = "a secret that is only used in tests, long enough"
_numbers = count(1)


class HouseServer(TestServer):
    """Connections as `serve` makes them."""

    async def _make_runner(self, **settings: Any) -> Runner:
        return Runner(self.app, **settings)


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

    async def settle(self) -> None:
        """Until every job that is due is done."""
        await self.app[JOBS].settle()

    async def letters(self, to: str) -> list[EmailMessage]:
        """What this address was sent, the oldest first."""
        await self.settle()
        folder = self.app[CONFIG].data_dir / "mail"
        parser = BytesParser(EmailMessage, policy=default)
        files = sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
        letters = [parser.parsebytes(file.read_bytes()) for file in files]
        return [letter for letter in letters if letter["To"] == to]

    async def letter_token(self, to: str, purpose: str) -> str:
        """The token in the last letter for this purpose."""
        texts = [plain(letter) for letter in await self.letters(to)]
        return next(text for text in reversed(texts) if f"#{purpose}=" in text).split(f"#{purpose}=")[1].split()[0]

    async def code(self, phone: str) -> str:
        """The code that a number was sent last."""
        await self.settle()
        folder = self.app[CONFIG].data_dir / "sms"
        files = sorted(folder.glob("*.txt"), key=lambda file: file.stat().st_mtime_ns)
        texts = [file.read_text() for file in files]
        return [text for text in texts if text.startswith(phone)][-1].split("\n\n")[1][:6]

    async def guest(self) -> dict[str, Any]:
        body: dict[str, Any] = await (await self.post("/auth/guest")).json()
        return body


def plain(letter: EmailMessage) -> str:
    """The form of a letter that is plain text."""
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


@asynccontextmanager
async def open_house(
    dsn: str, *, clock: HouseClock | None = None, rates: Rates | None = None, **settings: Any
) -> AsyncIterator[House]:
    with TemporaryDirectory(prefix="marquee-house-") as folder:
        config = Config(**{"jwt_secret": SECRET, "data_dir": folder, **settings})
        app = build_app(config, dsn, clock=clock, password_cost=4, rates=rates)
        async with TestClient(HouseServer(app), cookie_jar=DummyCookieJar()) as client:
            if not config.webhook_allow:
                app[DISPATCH].rest()  # nothing that a test says to partners leaves this machine
            yield House(app, client)
