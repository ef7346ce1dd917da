"""A program for test_embedded: owns a data folder and commits numbers, one after another, until it is killed."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import asyncpg

from persistence.embedded import EmbeddedPostgres


async def write(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as postgres:
        connection = await asyncpg.connect(postgres.dsn)
        await connection.execute("CREATE TABLE IF NOT EXISTS written (number bigint PRIMARY KEY)")
        number = await connection.fetchval("SELECT coalesce(max(number), 0) FROM written")
        try:
            while True:
                number += 1
                await connection.execute("INSERT INTO written VALUES ($1)", number)
                print(number, flush=True)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # The server was killed. Stay, so that the test decides when we die.
            await asyncio.Event().wait()


asyncio.run(write(Path(sys.argv[1])))
