"""Connections and the schema: one way in, numbered migrations forward.

jsonb travels as bytes in both directions, so that orjson's output goes in and its input comes out without a detour.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    WriterConnection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
    Executor = Connection | Pool
else:
    Connection = asyncpg.Connection
    WriterConnection = asyncpg.Connection
    Pool = asyncpg.Pool
    Executor = object

MIGRATIONS: Final = Path(__file__).parent / "migrations"
POOL_CONNECTIONS_MAX: Final = 12
LAZY_CONNECTIONS_MAX: Final = 4
COMMAND_SECONDS_MAX: Final = 8.0
_MIGRATION_LOCK: Final = 7_001_001
_JSONB_VERSION: Final = b"\x01"


class SchemaRefused(Exception):
    """The database's schema and this code do not fit; the message is a sentence for the person who started us."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str
    sha256: str


def open_pool(dsn: str, kind: type[WriterConnection] = asyncpg.Connection) -> Pool:
    """A pool for everything but the journal's appends: `await` it, or enter it with `async with`."""
    return _pool(dsn, kind, POOL_CONNECTIONS_MAX, application_name="marquee")


def open_lazy_pool(dsn: str, kind: type[WriterConnection] = asyncpg.Connection) -> Pool:
    """A pool whose commits wait for no disk. What they wrote is safe as soon as any later commit elsewhere is.

    Only for what means nothing without such a later commit, which whoever asked waits for.
    """
    return _pool(dsn, kind, LAZY_CONNECTIONS_MAX, application_name="marquee lazy", synchronous_commit="off")


def _pool(dsn: str, kind: type[WriterConnection], connections_max: int, **settings: str) -> Pool:
    return asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=connections_max,
        connection_class=kind,
        init=_prepare,
        reset=_keep,
        command_timeout=COMMAND_SECONDS_MAX,
        server_settings=settings,
    )


async def connect_writer(dsn: str) -> WriterConnection:
    """One connection without a timeout of its own, for the journal's writer and for commands."""
    connection = await asyncpg.connect(
        dsn, server_settings={"application_name": "marquee writer", "synchronous_commit": "on"}
    )
    await _prepare(connection)
    return connection


async def migrate(dsn: str, folder: Path = MIGRATIONS) -> int:
    """Bring the schema up to date and return its number. SchemaRefused."""
    connection = await connect_writer(dsn)
    try:
        # Two starters at once: the second waits here and then finds everything done.
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
        return await _migrate(connection, known_migrations(folder))
    finally:
        await connection.close()


def known_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    migrations = [_read(path) for path in sorted(folder.glob("[0-9]*.sql"))]
    assert [m.number for m in migrations] == list(range(1, len(migrations) + 1)), "migrations are numbered without gaps"
    return migrations


async def current_schema(connection: Connection) -> int:
    """The number of the newest migration that was applied, 0 for an empty database."""
    if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
        return 0
    number = await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_version")
    return int(number)


async def _migrate(connection: WriterConnection, migrations: list[Migration]) -> int:
    await connection.execute(
        """
        CREATE TABLE IF NOT EXISTS schema_version (
            number int PRIMARY KEY,
            name text NOT NULL,
            sha256 text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now())
        """
    )
    applied = {
        row["number"]: row["sha256"] for row in await connection.fetch("SELECT number, sha256 FROM schema_version")
    }
    _refuse_what_does_not_fit(applied, migrations)
    for migration in migrations:
        if migration.number not in applied:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_version (number, name, sha256) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.sha256,
                )
    return migrations[-1].number


def _refuse_what_does_not_fit(applied: dict[int, str], migrations: list[Migration]) -> None:
    newest = max(applied, default=0)
    if newest > len(migrations):
        raise SchemaRefused(
            f"The database has schema {newest}, this Marquee knows only {len(migrations)}. Start a newer Marquee."
        )
    for migration in migrations:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise SchemaRefused(
                f"Migration {migration.name} was changed after it had been applied. "
                "Put the file back as it was and write a new one."
            )


def _read(path: Path) -> Migration:
    sql = path.read_text()
    return Migration(int(path.name.split("_")[0]), path.stem, sql, hashlib.sha256(sql.encode()).hexdigest())


async def _keep(_connection: Connection) -> None:
    """Nobody changes a pooled connection's settings, so giving it back needs no round trip to undo that."""


async def _prepare(connection: WriterConnection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda document: _JSONB_VERSION + document,
        decoder=lambda stored: stored[1:],
    )
