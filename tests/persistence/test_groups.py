"""Writes that go together: one statement for many, order kept, the guilty alone to blame."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from persistence.groups import ROWS_MAX, Grouped


class Table:
    """Stores numbers; what is below zero cannot be stored."""

    def __init__(self) -> None:
        self.statements: list[list[int]] = []
        self.door = asyncio.Event()
        self.lost = False

    async def write(self, rows: Sequence[int]) -> list[int]:
        self.statements.append(list(rows))
        await self.door.wait()
        if self.lost:
            raise ConnectionError("gone")
        if any(row < 0 for row in rows):
            raise asyncpg.DataError("below zero")
        return [row * 2 for row in rows]


async def test_what_comes_while_a_statement_runs_goes_with_the_next():
    table = Table()
    group: Grouped[int, int] = Grouped(table.write, lambda row: row)
    asked = [asyncio.create_task(group.put(row)) for row in range(5)]
    while not table.statements:
        await asyncio.sleep(0)
    asked += [asyncio.create_task(group.put(row)) for row in range(5, 8)]
    await asyncio.sleep(0)
    table.door.set()
    assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert len(table.statements) <= 3
    assert [row for rows in table.statements for row in rows] == list(range(8))


async def test_rows_of_one_key_never_share_a_statement_and_no_statement_is_endless():
    table = Table()
    table.door.set()
    group: Grouped[int, int] = Grouped(table.write, lambda row: row % 2)
    await asyncio.gather(*(group.put(row) for row in range(6)))
    assert all(len(rows) <= 2 for rows in table.statements)
    many = Table()
    many.door.set()
    group = Grouped(many.write, lambda row: row)
    await asyncio.gather(*(group.put(row) for row in range(ROWS_MAX * 2)))
    assert max(map(len, many.statements)) <= ROWS_MAX


async def test_a_row_that_cannot_be_stored_fails_alone():
    table = Table()
    table.door.set()
    group: Grouped[int, int] = Grouped(table.write, lambda row: row)
    answers = await asyncio.gather(*(group.put(row) for row in (1, -1, 2)), return_exceptions=True)
    assert answers[::2] == [2, 4]
    assert isinstance(answers[1], asyncpg.DataError)
    assert await group.put(3) == 6


async def test_when_the_database_is_gone_all_who_wait_hear_it_and_nothing_is_tried_twice():
    table = Table()
    table.door.set()
    table.lost = True
    group: Grouped[int, int] = Grouped(table.write, lambda row: row)
    answers = await asyncio.gather(*(group.put(row) for row in (1, 2, 3)), return_exceptions=True)
    assert all(isinstance(answer, ConnectionError) for answer in answers)
    assert sum(map(len, table.statements)) == 3
    table.lost = False
    assert await group.put(4) == 8


async def test_who_goes_away_takes_nobody_along():
    table = Table()
    group: Grouped[int, int] = Grouped(table.write, lambda row: row)
    gone, stays = (asyncio.create_task(group.put(row)) for row in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    table.door.set()
    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
