"""The house on a real socket with schemathesis before it, which has read nothing but the OpenAPI document."""

import asyncio
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from actors.ids import mint
from persistence import accounts
from persistence.accounts import Account
from server.app import build_app
from server.config import Config
from server.keys import CLOCK, COURIER, DISPATCH, POOL
from server.partners.reach import Reach
from tests.contract.world import WORLD, World
from tests.server.house import SECRET, House
from tests.server.partners.test_reach import Book
from tests.server.rest.cinema import open_counter

CHECKED = "all"
NOT_CHECKED = "positive_data_acceptance"
"""That a well-formed wish is granted cannot be promised: the seat may be sold, the code unknown, the day past."""

_cases = re.compile(r"(\d[\d,]*) generated")


@dataclass(frozen=True)
class Outcome:
    passed: bool
    cases: int
    report: str


async def contract(dsn: str, folder: Path, *options: str, seconds_max: float) -> Outcome:
    """Run schemathesis over all operations with these options."""
    app = build_app(Config(jwt_secret=SECRET, rate_limit=False, data_dir=folder), dsn, password_cost=4)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    app[DISPATCH].rest()  # webhooks that it makes up are looked up nowhere, and nothing is sent to them
    app[COURIER].reach = Reach(Book())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        world = await _furnish(app)
        return await _attack(f"http://127.0.0.1:{port}/api/v1/openapi.json", world, folder, options, seconds_max)
    finally:
        await runner.cleanup()


async def _furnish(app: web.Application) -> World:
    """One of everything, so that ids lead somewhere, and an account for each caller."""
    house = House(app, None)  # type: ignore[arg-type]
    counter = await open_counter(house)
    now = app[CLOCK].now()
    admin = Account(id=mint(now), roles=("admin",), created_at=now, email="contract@example.com", display_name="C")
    await accounts.add(app[POOL], admin)
    return World(
        account_id=admin.id,
        theatre_id=counter.cinema.theatre_id,
        ids={
            "showtime_id": counter.showtime_id,
            "theatre_id": counter.cinema.theatre_id,
            "screen_id": counter.cinema.screen_id,
            "movie_id": counter.cinema.movie_id,
            "layout_id": counter.cinema.layout.id,
            "user_id": admin.id,
        },
    )


async def _attack(url: str, world: World, folder: Path, options: tuple[str, ...], seconds_max: float) -> Outcome:
    command = (
        sys.executable, "-m", "schemathesis.cli", "run", url,
        "--checks", CHECKED, "--exclude-checks", NOT_CHECKED, "--max-redirects", "0", "--warnings", "off",
        "--exclude-path-regex", "live$|/me/stream$", "--request-timeout", "30", *options,
    )  # fmt: skip
    environment = {
        **os.environ,
        WORLD: world.text(),
        "SCHEMATHESIS_HOOKS": "tests.contract.hooks",
        "PYTHONPATH": str(Path.cwd()),
        "COLUMNS": "160",
    }
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(seconds_max):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    report = output.decode()
    counted = _cases.search(report)
    return Outcome(process.returncode == 0, int(counted[1].replace(",", "")) if counted else 0, report)
