"""What the API offers: each route with who may ask, what it takes and what it answers, declared once.

The router, the check of roles, the role table of the tests and the OpenAPI document all read the same declaration, so
none of them can say something that the others do not.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from server.auth.identity import Guard, guard
from server.idempotency import idempotent

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PUBLIC: Final = None
"""Everybody may ask, with or without a token."""

SIGNED_IN: Final[frozenset[str]] = frozenset()
"""Whoever has a token, guests too."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    `access` names the roles that may ask: PUBLIC, SIGNED_IN, or a set of which the caller needs one. Whether a thing is
    the caller's own, or of a theatre the caller works for, only the handler can see. `answers` gives the shape of each
    success, a TypedDict, model or list of them; None is an answer without a body, and 304 says that the answer has an
    ETag. `problems` are codes of the table in `server/problems.py`, beyond those that every operation of its kind can
    have; `precondition_failed` among them means that If-Match is understood. `remembers` says that the handler itself
    looks after the Idempotency-Key; for other POSTs of signed-in callers the answer is stored. `text_type` is what
    an answer of the shape `str` is. `headers` are those of the answers, `alias_of` is the path that this one is another
    name of.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    access: frozenset[str] | None
    answers: Mapping[int, Any]
    asks: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    problems: tuple[str, ...] = ()
    body_required: bool = True
    body_type: str = "application/json"
    text_type: str = "text/plain"
    key_required: bool = False
    remembers: bool = False
    alias_of: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def guard(self) -> Guard | None:
        """What asks for a token and a role before the handler runs; None where everybody may come in."""
        return None if self.access is None else guard(self.access)

    def answering(self) -> Handler:
        """The handler, whose answers are kept by their Idempotency-Key where it does not see to that itself."""
        return idempotent(self.handler) if self.takes_key and not self.remembers else self.handler

    @property
    def takes_key(self) -> bool:
        """Whether an Idempotency-Key is heeded."""
        return self.remembers or (self.method == "POST" and self.access is not None)

    def also(self, method: str, path: str) -> "Operation":
        """The same operation at another address."""
        return replace(self, method=method, path=path, alias_of=self.path)


def exact(path: str, others: Collection[str]) -> str:
    """The path for the router, whose `{names}` do not stand for words that have a path of their own.

    Without this a method that `/bookings/my` does not know would be taken for one on the booking `my`.
    """
    parts = path.split("/")
    words: dict[int, set[str]] = {}
    for other in others:
        theirs = other.split("/")
        differing = [i for i, part in enumerate(parts) if i < len(theirs) and theirs[i] != part]
        if len(theirs) == len(parts) and all(_is_name(parts[i]) and not _is_name(theirs[i]) for i in differing):
            for i in differing:
                words.setdefault(i, set()).add(re.escape(theirs[i]))
    for i, taken in words.items():
        parts[i] = f"{parts[i][:-1]}:(?!(?:{'|'.join(sorted(taken))})(?:/|$))[^/]+}}"
    return "/".join(parts)


def _is_name(part: str) -> bool:
    return part.startswith("{")
