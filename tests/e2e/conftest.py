"""A house for the end-to-end tests: the real program, started as a user starts it, and a real browser."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.e2e.browser import FLAGS, find

ROOT = Path(__file__).parents[2]
START_SECONDS_MAX = 90
PATIENCE_MS = 30_000
"""How long a browser may take to show something, on a machine that has much else to do."""

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class House:
    """A running server with the demo week."""

    url: str
    folder: Path
    showtimes: list[dict[str, Any]]
    used: int = 0
    used_late: int = 0

    def fresh_showtime(self) -> dict[str, Any]:
        """An open showtime that no other test has touched."""
        self.used += 1
        return self.showtimes[self.used]

    def late_showtime(self) -> dict[str, Any]:
        """One that is days away, so that everything comes back of what is given back."""
        self.used_late += 1
        return self.showtimes[-self.used_late]

    async def read(self, path: str) -> Any:
        async with aiohttp.request("GET", f"{self.url}/api/v1{path}") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def order(self, method: str, path: str, asked: dict[str, Any]) -> Any:
        """As the demo's administrator."""
        who = {"email": "admin@demo.example", "password": "marquee-demo"}
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{self.url}/api/v1/auth/login", json=who) as answer:
                token = (await answer.json())["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            async with session.request(method, f"{self.url}/api/v1{path}", json=asked, headers=headers) as answer:
                assert answer.status < 300, await answer.text()
                return await answer.json()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """The server in a process of its own, which can be stopped and started again on the same port and folder."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="marquee-e2e-"))
        self.folder.chmod(0o755)
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("MARQUEE_")} | {
            "MARQUEE_DATA_DIR": str(self.folder),
            "MARQUEE_PORT": str(port),
            "MARQUEE_LOG_LEVEL": "warning",
            **settings,
        }

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server"], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    async def ready(self) -> None:
        await _until_ready(self.url, self._process, self._log)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(timeout=30) == 0, self._log.read_text()

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"


@pytest.fixture(scope="session")
def server() -> Iterator[Program]:
    program = Program()
    program.start()
    try:
        asyncio.run(program.ready())
        yield program
    finally:
        program.stop()
        shutil.rmtree(program.folder, ignore_errors=True)


@pytest.fixture
def environment() -> dict[str, str]:
    """Settings of a server of the test's own."""
    return {}


@asynccontextmanager
async def running(environment: dict[str, str]) -> AsyncIterator[Program]:
    """A server with these settings."""
    program = Program(**environment)
    program.start()
    try:
        await program.ready()
        yield program
    finally:
        program.stop()
        shutil.rmtree(program.folder, ignore_errors=True)


@pytest.fixture
async def own_program(environment: dict[str, str]) -> AsyncIterator[Program]:
    """A server of this test's own, which it may restart."""
    async with running(environment) as program:
        yield program


async def _until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            try:
                async with session.get(f"{url}/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError(f"not ready after {START_SECONDS_MAX} s: {log.read_text()}")


@pytest.fixture(scope="session")
def house(server: Program) -> House:
    return House(server.url, server.folder, asyncio.run(open_showtimes(server.url)))


async def open_showtimes(url: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/showtimes?limit=100") as answer:
        items = (await answer.json())["items"]
    return [showtime for showtime in items if showtime["sales"] == "open"]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find(), args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.fixture
async def visitor(browser: Browser) -> AsyncIterator[Callable[..., Any]]:
    """Makes a visitor with a browser profile of their own. Whatever their console complains of fails the test."""
    complaints: list[str] = []
    contexts: list[BrowserContext] = []

    async def come(**options: Any) -> Page:
        context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"} | options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield come
    for context in contexts:
        await context.close()
    assert complaints == []
