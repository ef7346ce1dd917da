"""Who works for long leaves the first core to PostgreSQL's writer, and only for that time."""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from server.background import NICENESS, FirstCore, step_aside
from server.keys import JOURNAL, PASSWORDS
from tests.server.house import open_house

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="a matter of Linux and of more than one core"
)


def cores(pid: int) -> set[int]:
    return os.sched_getaffinity(pid)


def test_a_thread_that_steps_aside_leaves_the_first_core_and_nobody_else_does() -> None:
    everywhere = cores(0)
    with ThreadPoolExecutor(1, initializer=step_aside) as thread:
        assert thread.submit(cores, 0).result() == everywhere - {min(everywhere)}
        assert thread.submit(os.getpriority, os.PRIO_PROCESS, 0).result() == NICENESS
    assert cores(0) == everywhere


async def test_the_writer_is_kept_on_the_first_core_and_let_go_again(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    pid, first_core = connection.get_server_pid(), FirstCore()
    everywhere = cores(pid)
    first_core.keep(pid)
    first_core.keep(pid)
    assert cores(pid) == {min(cores(0))}
    first_core.release()
    assert cores(pid) == everywhere
    await connection.close()


def test_no_other_program_is_moved() -> None:
    first_core, everywhere = FirstCore(), cores(0)
    first_core.keep(os.getpid())
    first_core.keep(1 << 22)
    assert cores(0) == everywhere
    first_core.release()


async def test_while_a_password_is_digested_the_writer_is_kept_off_its_core(database_url: str) -> None:
    async with open_house(database_url) as house:
        pid = house.app[JOURNAL].writer_pid
        assert pid is not None
        everywhere = cores(pid)
        work = [asyncio.ensure_future(house.app[PASSWORDS].hash("correct horse")) for _ in range(3)]
        await asyncio.sleep(0)
        assert cores(pid) == {min(cores(0))}
        await asyncio.gather(*work)
        assert cores(pid) == everywhere
