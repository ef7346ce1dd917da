"""Work whose result somebody waits for, but never at the cost of a hold: threads that give way.

The lowest priority alone still makes others wait. Linux lets whoever runs finish its slice, and a process that wakes on
the core where a password is being digested, such as PostgreSQL's writer, waits for the next tick, some milliseconds.
Since 6.12 who has the shorter slice may interrupt who has the longer one, so these threads ask for the longest.
"""

import ctypes
import os
import platform
import struct
import sys
import threading
from typing import Final

NICENESS: Final = 19
SLICE_MS: Final = 100
"""The longest that the kernel grants; the usual one is 3."""

_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQII")
"""The kernel's `struct sched_attr`: size, policy, flags, nice, priority, runtime (ns), deadline, period, two hints."""


def step_back() -> None:
    """For a thread that begins: the event loop and the database go first. On Linux each thread has its own niceness."""
    if sys.platform != "linux":
        return
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    call = _SCHED_SETATTR.get(platform.machine())
    if call is not None:  # a kernel that does not know it says no, and all is as it was
        wish = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, NICENESS, 0, SLICE_MS * 1_000_000, 0, 0, 0, 0)
        ctypes.CDLL(None).syscall(call, 0, wish, 0)
