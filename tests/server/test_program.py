"""The program as an operator starts it: a process of its own, its words, its exit status."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copy, copytree, rmtree

import aiohttp
import asyncpg
import pytest

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 90
DRAIN_SECONDS_MAX = 10


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that PostgreSQL's user can enter."""
    root = Path(tempfile.mkdtemp(prefix="marquee-test-"))
    root.chmod(0o755)
    yield root / "data"
    rmtree(root, ignore_errors=True)


@asynccontextmanager
async def program(*arguments: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MARQUEE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", *arguments, cwd=ROOT,
        env=environment | {f"MARQUEE_{name.upper()}": value for name, value in settings.items()},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def finish(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """Exit status, what it printed, and what it complained about."""
    async with asyncio.timeout(SECONDS_MAX), program(*arguments, **settings) as process:
        out, complaints = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), complaints.decode()


async def address_of(process: asyncio.subprocess.Process) -> str:
    """What it says when its doors are open."""
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS_MAX):
        line = (await process.stdout.readline()).decode()
    assert line.startswith("Marquee is open at http://127.0.0.1:"), line
    return line.split()[-1]


async def test_serving_begins_with_an_address_and_ends_with_zero_on_sigterm(folder: Path) -> None:
    async with program("serve", port="0", data_dir=str(folder), demo="off") as process:
        address = await address_of(process)
        async with aiohttp.ClientSession() as client, client.get(f"{address}/ready") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            assert await process.wait() == 0


async def test_no_command_means_serve_and_ctrl_c_ends_it(folder: Path) -> None:
    async with program(port="0", data_dir=str(folder), demo="off") as process:
        await address_of(process)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            assert await process.wait() == 0


async def test_a_second_server_is_refused_and_an_operators_command_is_welcome(folder: Path) -> None:
    async with program(port="0", data_dir=str(folder), demo="off") as process:
        await address_of(process)
        status, _, complaint = await finish(port="0", data_dir=str(folder))
        assert status == 2
        assert complaint.startswith("marquee: Another Marquee is using the data folder")
        status, _, complaint = await finish("verify", data_dir=str(folder))
        assert status == 0, complaint
        assert process.returncode is None


async def test_wrong_settings_are_all_named_without_a_traceback() -> None:
    status, _, complaint = await finish(port="many", rate_limit="perhaps", prot="1")
    assert status == 2, complaint
    assert "Traceback" not in complaint
    for name in ("MARQUEE_PORT", "MARQUEE_RATE_LIMIT", "MARQUEE_PROT"):
        assert name in complaint


async def test_a_port_in_use_is_a_sentence(database_url: str, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        status, _, complaint = await finish(port=port, database_url=database_url, data_dir=str(folder))
    assert status == 2, complaint
    assert f"Port {port} of 127.0.0.1 is in use by another program." in complaint
    assert "Traceback" not in complaint


async def test_a_host_that_is_no_address_of_ours_is_a_sentence(database_url: str, folder: Path) -> None:
    status, _, complaint = await finish(host="192.0.2.1", port="0", database_url=database_url, data_dir=str(folder))
    assert status == 2, complaint
    assert "MARQUEE_HOST 192.0.2.1 is not an address of this machine." in complaint
    assert "Traceback" not in complaint


async def test_a_database_that_is_not_there_is_a_sentence(folder: Path) -> None:
    status, _, complaint = await finish(database_url="postgresql://x@127.0.0.1:1/x", data_dir=str(folder))
    assert status == 2, complaint
    assert complaint.startswith("marquee: The database of MARQUEE_DATABASE_URL cannot be used:")
    assert "Traceback" not in complaint


async def test_a_newer_schema_is_a_sentence(database_url: str, folder: Path) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("INSERT INTO schema_version (number, name, sha256) VALUES (9999, 'later', '')")
    finally:
        await connection.close()
    status, _, complaint = await finish(database_url=database_url, data_dir=str(folder))
    assert status == 2, complaint
    assert "The database has schema 9999" in complaint


async def test_the_schema_can_be_brought_up_to_date_alone(database_url: str, folder: Path) -> None:
    status, said, _ = await finish("migrate", database_url=database_url, data_dir=str(folder))
    assert status == 0
    assert said.startswith("The database has schema ")


async def test_an_administrator_is_made(database_url: str, folder: Path) -> None:
    status, said, complaint = await finish(
        "admin", "create", "ana@example.com", database_url=database_url, data_dir=str(folder)
    )
    assert status == 0, complaint
    assert said.startswith("ana@example.com is an administrator.")


async def test_an_administrator_needs_an_address_to_sign_in_with(database_url: str, folder: Path) -> None:
    status, said, complaint = await finish("admin", "create", "ana", database_url=database_url, data_dir=str(folder))
    assert (status, said, complaint.strip()) == (2, "", "marquee: ana is not an e-mail address.")


async def test_help_names_every_command() -> None:
    status, said, _ = await finish("--help")
    assert status == 0
    for command in (
        "serve",
        "demo",
        "migrate",
        "admin",
        "verify",
        "rebuild",
        "replay",
        "import-movies",
        "import-layout",
    ):
        assert command in said


async def test_what_the_image_carries_is_enough_to_make_the_application(tmp_path: Path) -> None:
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line and "requirements" not in line:
            source, target = line.split()[1:]
            if (ROOT / source).is_dir():
                copytree(ROOT / source, tmp_path / target)
            else:
                copy(ROOT / source, tmp_path / target)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import server.app, server.demo", cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    assert (await process.communicate())[1] == b""
    assert process.returncode == 0
