"""Answers of public lists, kept encoded for a moment, so that the same question again costs no query and no encoding.

When that moment is over one of those who ask pays for the next answer, and the others wait for it.

An answer is kept for KEPT_MILLIS at most, which bounds how old it can be after another process wrote to the database,
and is dropped at once when somebody changes something here (`dropping`). An answer that was begun before such a change
and is ready after it is given, but not kept. Only for lists that follow from the catalogue: what shows live seats is
never kept.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial, wraps
from typing import Final

import orjson
from aiohttp import web

from actors.seatmap.terms import Instant
from server.keys import CLOCK, KEPT
from server.responses import etag_of, kept_answer

KEPT_MILLIS: Final = 1_000
ANSWERS_MAX: Final = 512
ANSWER_BYTES_MAX: Final = 128 * 1024
QUESTION_LENGTH_MAX: Final = 1_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    etag: str
    until: Instant


class Kept:
    """The answers of one house by the address and query that they answer."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}
        self._making: dict[tuple[str, int], asyncio.Task[Answer]] = {}
        self.version = 0

    def find(self, question: str, now: Instant) -> Answer | None:
        found = self._answers.get(question)
        return found if found is not None and now < found.until else None

    async def once(self, question: str, make: Callable[[], Coroutine[None, None, Answer]]) -> Answer:
        """What is being made for somebody who asks the same, unless something has changed since; else it is made now.

        It is made to the end also when who asked first has gone.
        """
        key = question, self.version
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.create_task(make())
            making.add_done_callback(partial(self._made, key))
        return await asyncio.shield(making)

    def _made(self, key: tuple[str, int], made: "asyncio.Task[Answer]") -> None:
        del self._making[key]
        if not made.cancelled():
            made.exception()  # whoever still waits hears it

    def keep(self, question: str, answer: Answer, version: int) -> None:
        """Unless it is large, or something has changed since `version`. The oldest one makes room."""
        if version != self.version or len(answer.body) > ANSWER_BYTES_MAX or len(question) > QUESTION_LENGTH_MAX:
            return
        self._answers.pop(question, None)
        if len(self._answers) >= ANSWERS_MAX:
            del self._answers[next(iter(self._answers))]
        self._answers[question] = answer

    def drop(self) -> None:
        self.version += 1
        self._answers.clear()


def kept(page: Callable[[web.Request], Awaitable[object]]) -> Handler:
    """A handler that says what `page` returns, or said a moment ago, and 304 to who has it already."""

    @wraps(page)
    async def say(request: web.Request) -> web.Response:
        store, now, question = request.app[KEPT], request.app[CLOCK].now(), request.raw_path
        found = store.find(question, now)
        if found is None:
            found = await store.once(question, partial(make, request, now))
        return kept_answer(request, found.body, found.etag)

    async def make(request: web.Request, now: Instant) -> Answer:
        store = request.app[KEPT]
        version = store.version
        body = orjson.dumps(await page(request))
        made = Answer(body, etag_of(body), now + KEPT_MILLIS)
        store.keep(request.raw_path, made, version)
        return made

    return say


def dropping(handler: Handler) -> Handler:
    """A handler after which nothing that was kept is said again."""

    @wraps(handler)
    async def change(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        finally:
            request.app[KEPT].drop()

    return change
