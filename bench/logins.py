"""Others who sign in while people hold seats, in another process. A wrong password costs as much as a right one."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from multiprocessing.connection import Connection
from typing import Final

from bench import client
from bench.client import Line, Tally
from bench.protocol import request, response

LINES: Final = 256
PATH: Final = "/api/v1/auth/login"


class Logins:
    """Somebody else every time."""

    def __init__(self) -> None:
        self._numbers = count()

    def ask(self, _line: Line) -> bytes | None:
        body = b'{"email":"nobody%d@example.com","password":"not the one"}' % next(self._numbers)
        return request("POST", PATH, body=body)

    def hear(self, _line: Line, received: bytes) -> tuple[int, int]:
        answer = response(received)
        return (0, 0) if answer is None else (answer[0], answer[2])


@contextmanager
def flood(port: int, rate: float, seconds: float) -> Iterator[Connection]:
    """`rate` attempts a second. The connection that is yielded has their Tally when the time is over."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_attempt, args=(theirs, port, rate, seconds), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.kill()


def _attempt(pipe: Connection, port: int, rate: float, seconds: float) -> None:
    lines = client.lines(port, LINES)
    tally: Tally = client.open_loop(Logins(), lines, seconds, rate)
    client.close(lines)
    pipe.send(tally)
