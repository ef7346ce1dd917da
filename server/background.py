"""Threads that give way: work whose result somebody waits for, but never at the cost of a hold."""

import os
import sys
import threading
from typing import Final

NICENESS: Final = 19


def step_back() -> None:
    """For a thread that begins: the event loop and the database go first. On Linux each thread has its own niceness."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
