"""Migrations: forward only, one starter at a time, and nothing that does not fit."""

import asyncio
from pathlib import Path

import asyncpg
import orjson
import pytest

from persistence import database
from persistence.database import Pool, SchemaRefused, connect_writer, current_schema, known_migrations, migrate


@pytest.fixture
async def empty_url(cluster: str) -> str:
    """A database without a schema."""
    connection = await asyncpg.connect(cluster)
    try:
        name = f"empty_{await connection.fetchval('SELECT txid_current()')}"
        await connection.execute(f"CREATE DATABASE {name} STRATEGY wal_log")
    finally:
        await connection.close()
    return cluster.replace("/postgres?", f"/{name}?")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (number int);")
    (tmp_path / "0002_second.sql").write_text("INSERT INTO first VALUES (2); INSERT INTO first VALUES (3);")
    return tmp_path


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_an_empty_database_gets_every_migration_in_order(empty_url: str, folder: Path) -> None:
    assert await migrate(empty_url, folder) == 2
    assert await value(empty_url, "SELECT sum(number) FROM first") == 5
    assert await value(empty_url, "SELECT string_agg(name, ' ' ORDER BY number) FROM schema_version") == (
        "0001_first 0002_second"
    )


async def test_a_second_run_changes_nothing(empty_url: str, folder: Path) -> None:
    await migrate(empty_url, folder)
    assert await migrate(empty_url, folder) == 2
    assert await value(empty_url, "SELECT count(*) FROM first") == 2


async def test_starters_at_the_same_time_do_not_collide(empty_url: str, folder: Path) -> None:
    assert await asyncio.gather(*(migrate(empty_url, folder) for _ in range(6))) == [2] * 6
    assert await value(empty_url, "SELECT count(*) FROM first") == 2


async def test_a_migration_that_fails_leaves_nothing_and_can_be_mended(empty_url: str, folder: Path) -> None:
    broken = folder / "0003_third.sql"
    broken.write_text("CREATE TABLE third (); SELECT 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_url, folder)
    assert await value(empty_url, "SELECT to_regclass('third')") is None
    assert await value(empty_url, "SELECT max(number) FROM schema_version") == 2

    broken.write_text("CREATE TABLE third ();")
    assert await migrate(empty_url, folder) == 3


async def test_a_newer_schema_is_refused(empty_url: str, folder: Path) -> None:
    await migrate(empty_url, folder)
    (folder / "0002_second.sql").unlink()
    with pytest.raises(SchemaRefused, match="has schema 2, this Marquee knows only 1"):
        await migrate(empty_url, folder)


async def test_a_file_changed_after_it_was_applied_is_refused(empty_url: str, folder: Path) -> None:
    await migrate(empty_url, folder)
    (folder / "0001_first.sql").write_text("CREATE TABLE first (number bigint);")
    with pytest.raises(SchemaRefused, match="0001_first was changed after it had been applied"):
        await migrate(empty_url, folder)


async def test_the_schema_number_of_an_empty_database_is_zero(empty_url: str, folder: Path) -> None:
    connection = await connect_writer(empty_url)
    try:
        assert await current_schema(connection) == 0
    finally:
        await connection.close()
    await migrate(empty_url, folder)
    connection = await connect_writer(empty_url)
    try:
        assert await current_schema(connection) == 2
    finally:
        await connection.close()


def test_our_own_migrations_are_numbered_without_gaps() -> None:
    ours = known_migrations()
    assert [migration.number for migration in ours] == list(range(1, len(ours) + 1))
    assert len(ours) == len(list(database.MIGRATIONS.iterdir()))


async def test_json_goes_in_and_comes_out_as_bytes(pool: Pool, database_url: str) -> None:
    document = {"seat": "F7", "note": "₹ é", "empty": None}
    writer = await connect_writer(database_url)
    try:
        for connection in (pool, writer):
            stored = await connection.fetchval("SELECT $1::jsonb", orjson.dumps(document))
            assert isinstance(stored, bytes)
            assert orjson.loads(stored) == document
            assert await connection.fetchval("SELECT $1::jsonb ->> 'seat'", orjson.dumps(document)) == "F7"
    finally:
        await writer.close()


async def test_the_writer_waits_for_the_disk(database_url: str) -> None:
    writer = await connect_writer(database_url)
    try:
        assert await writer.fetchval("SHOW synchronous_commit") == "on"
    finally:
        await writer.close()


async def test_every_test_has_a_database_of_its_own(pool: Pool) -> None:
    await pool.execute("INSERT INTO stream (showtime_id, number, version, epoch) VALUES (gen_random_uuid(), 1, 1, 1)")
    assert await pool.fetchval("SELECT count(*) FROM stream") == 1
