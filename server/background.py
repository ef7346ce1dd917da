"""Work whose result somebody waits for, but never at the cost of a hold: threads that give way.

A thread of low niceness still makes others wait. A process that wakes on the core where it runs waits for the kernel's
next tick, some milliseconds, and PostgreSQL's writer wakes for every commit. So threads that work for long leave the
first core alone, and while they work the writer is kept there.
"""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

NICENESS: Final = 19
_POSTGRES: Final = "postgres\n"


def step_back() -> None:
    """For a thread that begins: the event loop and the database go first. On Linux each thread has its own niceness."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def step_aside() -> None:
    """For a thread that begins and will work for long: `step_back`, and leave the first core alone."""
    step_back()
    if sys.platform == "linux" and (others := _cores() - {_first_core()}):
        os.sched_setaffinity(threading.get_native_id(), others)


class FirstCore:
    """Where PostgreSQL's writer is kept while other threads work for long. Does nothing where it may not."""

    def __init__(self) -> None:
        self._kept: dict[int, set[int]] = {}

    def keep(self, writer_pid: int) -> None:
        if sys.platform == "linux" and writer_pid not in self._kept:
            with suppress(OSError):
                if Path(f"/proc/{writer_pid}/comm").read_text() == _POSTGRES:
                    self._kept[writer_pid] = os.sched_getaffinity(writer_pid)
                    os.sched_setaffinity(writer_pid, {_first_core()})

    def release(self) -> None:
        """Let it run everywhere again."""
        while self._kept:
            writer_pid, cores = self._kept.popitem()
            with suppress(OSError):
                os.sched_setaffinity(writer_pid, cores)


def _cores() -> set[int]:
    return os.sched_getaffinity(os.getpid())


def _first_core() -> int:
    return min(_cores())
