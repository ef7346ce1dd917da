"""Who works for long may be interrupted by everybody else."""

import ctypes
import os
import platform
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.background import NICENESS, SLICE_MS, step_back

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a matter of Linux")
SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
SIZE = 56


def slice_ms() -> float:
    """Of the thread that asks."""
    answer = ctypes.create_string_buffer(SIZE)
    assert ctypes.CDLL(None).syscall(SCHED_GETATTR[platform.machine()], 0, answer, SIZE, 0) == 0
    return struct.unpack_from("=Q", answer.raw, 24)[0] / 1e6


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_a_thread_that_steps_back_comes_last_and_nobody_else_does() -> None:
    usual = niceness()
    with ThreadPoolExecutor(1, initializer=step_back) as thread:
        assert thread.submit(niceness).result() == NICENESS
    assert niceness() == usual


@pytest.mark.skipif(platform.machine() not in SCHED_GETATTR, reason="the number of the call is not known here")
@pytest.mark.skipif(tuple(map(int, platform.release().split(".")[:2])) < (6, 12), reason="a matter of newer kernels")
def test_it_has_the_longest_slice_so_that_anybody_may_interrupt_it() -> None:
    usual = slice_ms()
    with ThreadPoolExecutor(1, initializer=step_back) as thread:
        assert thread.submit(slice_ms).result() == SLICE_MS > usual
    assert slice_ms() == usual
