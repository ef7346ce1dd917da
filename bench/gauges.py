"""What processes use, and how fast the machine is at this moment.

Processor time per operation is the figure that neighbours on the machine disturb least. The calibrators say whether
two rounds met the same machine.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds so far: of the server, and of PostgreSQL with all its children."""

    server: float
    postgres: float


class Gauge:
    def __init__(self, server_pid: int, postgres_pid: int) -> None:
        self._server = psutil.Process(server_pid)
        self._postgres = psutil.Process(postgres_pid)

    def usage(self) -> Usage:
        return Usage(_busy(self._server), _family(self._postgres))

    def rss_kib(self) -> float:
        return float(self._server.memory_info().rss) / 1024


def _busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _family(process: psutil.Process) -> float:
    """With those of its children that have ended."""
    times = process.cpu_times()
    total = float(times.user + times.system + times.children_user + times.children_system)
    for child in process.children():
        try:
            total += _busy(child)
        except psutil.Error:
            continue
    return total


async def calibrate(dsn: str) -> dict[str, float]:
    """Loops of an integer sum a second, fdatasyncs a second, and the round trip of `select 1` in microseconds."""
    return {"int_loops_per_s": _int_loops(), "fdatasyncs_per_s": _syncs(), "select_1_us": await _round_trip(dsn)}


def _int_loops(seconds: float = 0.2) -> float:
    begin, loops = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        total = 0
        for number in range(1_000):
            total += number
        loops += 1
    return loops / (time.perf_counter() - begin)


def _syncs(seconds: float = 0.2) -> float:
    with tempfile.NamedTemporaryFile(dir=Path(tempfile.gettempdir())) as file:
        file.write(bytes(1 << 20))
        file.flush()
        begin, syncs = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            os.pwrite(file.fileno(), bytes(8_192), syncs % 128 * 8_192)
            os.fdatasync(file.fileno())
            syncs += 1
        return syncs / (time.perf_counter() - begin)


async def _round_trip(dsn: str, times: int = 300) -> float:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.fetchval("SELECT 1")
        begin = time.perf_counter()
        for _ in range(times):
            await connection.fetchval("SELECT 1")
        return (time.perf_counter() - begin) / times * 1e6
    finally:
        await connection.close()
