"""The ground a run stands on: one PostgreSQL, the product and the baselines as processes of their own."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg

from bench import baseline_rowlock, client, protocol
from bench.gauges import Gauge, Usage
from bench.seed import SECRET, Cinema, seed
from persistence.database import migrate
from persistence.embedded import EmbeddedPostgres

ROOT: Final = Path(__file__).parent.parent
START_SECONDS_MAX: Final = 60.0
WARM_WAL_BYTES: Final = 320 << 20


class Server:
    """A process that listens on a port of its own."""

    def __init__(self, arguments: list[str], environment: dict[str, str], port: int, postgres_pid: int) -> None:
        self.port = port
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=ROOT, env=os.environ | environment, stdin=subprocess.DEVNULL
        )
        self._gauge = Gauge(self._process.pid, postgres_pid)

    def wait(self, path: str) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with {self._process.returncode}")
            with contextlib.suppress(OSError):
                client.fetch(self.port, protocol.request("GET", path))
                return
            time.sleep(0.02)
        raise TimeoutError("the server did not come up")

    def usage(self) -> Usage:
        return self._gauge.usage()

    def rss_kib(self) -> float:
        return self._gauge.rss_kib()

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)


class Ground:
    """Databases, showtimes and servers of one run."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres, cinema: Cinema, dsn: str, rowlock_dsn: str) -> None:
        self.folder = folder
        self.cinema = cinema
        self.dsn = dsn
        self._rowlock_dsn = rowlock_dsn
        assert postgres.pid is not None
        self._postgres_pid = postgres.pid
        self._next = 0

    def take(self, count: int) -> tuple[str, ...]:
        """Showtimes that nobody has used yet."""
        taken = self.cinema.showtimes[self._next : self._next + count]
        assert len(taken) == count, "seed more showtimes"
        self._next += count
        return taken

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MARQUEE_DATABASE_URL": self.dsn,
            "MARQUEE_DATA_DIR": str(self.folder / "house"),
            "MARQUEE_RATE_LIMIT": "off",
            "MARQUEE_LOG_LEVEL": "warning",
            "MARQUEE_JWT_SECRET": SECRET,
        }

    @contextlib.contextmanager
    def product(self) -> Iterator[Server]:
        """As a user starts it."""
        port = free_port()
        server = Server(["server", "serve"], self.environment | {"MARQUEE_PORT": str(port)}, port, self._postgres_pid)
        with _stopping(server):
            server.wait("/health")
            yield server

    @contextlib.contextmanager
    def rowlock(self) -> Iterator[Server]:
        with self._baseline("bench.baseline_rowlock") as server:
            yield server

    @contextlib.contextmanager
    def fanout(self) -> Iterator[Server]:
        with self._baseline("bench.baseline_fanout") as server:
            yield server

    @contextlib.contextmanager
    def trivial(self) -> Iterator[Server]:
        with self._baseline("bench.catalogue") as server:
            yield server

    def seed_rowlock(self, showtimes: tuple[str, ...]) -> None:
        asyncio.run(baseline_rowlock.seed(self._rowlock_dsn, list(showtimes), list(self.cinema.seats)))

    def verify(self) -> int:
        """The exit status of `marquee verify`."""
        command = [sys.executable, "-m", "server", "verify"]
        return subprocess.run(command, cwd=ROOT, env=os.environ | self.environment, check=False).returncode

    @contextlib.contextmanager
    def _baseline(self, module: str) -> Iterator[Server]:
        port = free_port()
        environment = {"BENCH_PORT": str(port), "BENCH_DSN": self._rowlock_dsn, "BENCH_SECRET": SECRET}
        server = Server([module], environment, port, self._postgres_pid)
        with _stopping(server):
            server.wait("/")
            yield server


@contextlib.contextmanager
def lay(showtimes: int) -> Iterator[Ground]:
    """PostgreSQL with the settings of the embedded one, its log files written once, both schemas, all showtimes."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    folder = Path(tempfile.mkdtemp(prefix="marquee-bench-"))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    try:
        yield asyncio.run(_prepare(folder, postgres, showtimes))
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _prepare(folder: Path, postgres: EmbeddedPostgres, showtimes: int) -> Ground:
    admin = await asyncpg.connect(postgres.dsn)
    try:
        await admin.execute("CREATE DATABASE product")
        await admin.execute("CREATE DATABASE rowlock")
        await _warm_wal(admin)
    finally:
        await admin.close()
    dsn, rowlock = (postgres.dsn.replace("/postgres?", f"/{name}?") for name in ("product", "rowlock"))
    await migrate(dsn)
    return Ground(folder, postgres, await seed(dsn, showtimes), dsn, rowlock)


async def _warm_wal(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """A fresh cluster zero-fills each new log segment, and commits wait for it: make the segments before measuring."""
    await connection.execute("CREATE TABLE warm (filling bytea); ALTER TABLE warm ALTER filling SET STORAGE EXTERNAL")
    await connection.execute("INSERT INTO warm SELECT decode(repeat('00', 1 << 20), 'hex') FROM generate_series(1, $1)",
        WARM_WAL_BYTES >> 20)  # fmt: skip
    await connection.execute("DROP TABLE warm")
    await connection.execute("CHECKPOINT")


@contextlib.contextmanager
def _stopping(server: Server) -> Iterator[None]:
    try:
        yield
    except BaseException:
        server.kill()
        raise
    else:
        server.stop()
