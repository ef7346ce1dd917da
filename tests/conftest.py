"""Fixtures everybody needs: one real PostgreSQL for the whole run, and an empty, migrated database for each test.

The cluster is shared by the workers of a parallel run: whoever comes first starts it, whoever leaves last stops it.
"""

import asyncio
import contextlib
import fcntl
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from persistence.database import Pool, migrate, open_pool
from persistence.embedded import EmbeddedPostgres
from tests.e2e.browser import find

# Without a browser the end-to-end tests are left out, which `make test` says; where CI is set they fail instead.
collect_ignore = [] if find() is not None or os.environ.get("CI") else ["e2e"]
TEMPLATE = "marquee_template"


def _database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def _make_template(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    finally:
        await connection.close()
    await migrate(_database(dsn, TEMPLATE))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """The address of a running, migrated PostgreSQL."""
    if worker_id == "master":
        with _running(Path(tempfile.mkdtemp(prefix="marquee-test-"))) as dsn:
            yield dsn
        return
    shared = tmp_path_factory.getbasetemp().parent
    note, guests, lock = shared / "cluster-dsn", shared / "cluster-guests", shared / "cluster-lock"
    host: contextlib.ExitStack | None = None
    with _locked(lock):
        guests.write_text(str(int(guests.read_text()) + 1 if guests.exists() else 1))
        if not note.exists():
            host = contextlib.ExitStack()
            note.write_text(host.enter_context(_running(Path(tempfile.mkdtemp(prefix="marquee-test-")))))
    yield note.read_text()
    with _locked(lock):
        left = int(guests.read_text()) - 1
        guests.write_text(str(left))
        if not left:
            note.unlink()  # whoever comes later starts another one
    if host is not None:
        # The host leaves last, or its guests would lose their database in the middle of a test.
        while int(guests.read_text() or 1) > 0:  # empty while somebody writes
            time.sleep(0.05)
        host.close()


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[str]:
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    # A run that is killed must not leave its server behind: this waits for our end of the pipe to close.
    inherit = 'cat >/dev/null; kill -QUIT "$1" 2>/dev/null; rm -rf "$2"'
    heir = subprocess.Popen(
        ["sh", "-c", inherit, "heir", str(postgres.pid), str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        asyncio.run(_make_template(postgres.dsn))
        yield postgres.dsn
    finally:
        postgres.stop()
        heir.kill()
        heir.communicate()
        shutil.rmtree(folder, ignore_errors=True)


_names = itertools.count(1)


@pytest.fixture
async def database_url(cluster: str, worker_id: str) -> AsyncIterator[str]:
    """The address of a database of this test's own."""
    name = f"test_{worker_id}_{next(_names)}"
    connection = await asyncpg.connect(cluster)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY wal_log")
        yield _database(cluster, name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url)
    yield pool
    await pool.close()
