"""Same key, same answer.

Commands for a showtime carry their key as the command id (`command_id`), and the actor's log remembers the outcome.
Other POSTs go through `idempotent`, which stores the answer in a table.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from hashlib import blake2b
from typing import Final

import orjson
from aiohttp import web

from persistence import idempotency as store
from server.auth.identity import identify
from server.errors import PROBLEM_TYPE, Problem, auth_required
from server.keys import CLOCK, CONFIG, POOL, REQUEST_ID, WRITES
from server.middleware import X_REQUEST_ID, told
from server.requests import read_bytes

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADER: Final = "Idempotency-Key"
KEY_LENGTH_MAX: Final = 255
_CLAIMED: Final[web.RequestKey[bool]] = web.RequestKey("claimed", bool)
_NEVER_STORED: Final = frozenset((401, 402, 408, 425, 429))
"""What may go better next time; 402 because money may be on its way."""


def command_id(caller: str, operation: str, key: str, *things: str) -> str:
    """The id that one caller's key for one operation, on the things that its path names, always gets."""
    digest = blake2b("\0".join((caller, operation, key, *things)).encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def intent_of(asked: Mapping[str, object]) -> int:
    """63 bits that stand for what was asked for, whatever the order of its fields."""
    digest = blake2b(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def idempotency_key(request: web.Request, *, required: bool = False) -> str | None:
    """The client's key. 400 idempotency_key_required or idempotency_key_invalid."""
    key = request.headers.get(HEADER)
    if key is None:
        if required:
            raise Problem(400, "idempotency_key_required", f"This request needs an {HEADER} header.")
        return None
    return acceptable_key(key)


def acceptable_key(key: str) -> str:
    """The key, if it can be one. 400 idempotency_key_invalid."""
    if not 0 < len(key) <= KEY_LENGTH_MAX or not key.isascii() or not key.isprintable():
        raise Problem(
            400, "idempotency_key_invalid", f"An {HEADER} is 1 to {KEY_LENGTH_MAX} printable ASCII characters."
        )
    return key


def in_progress() -> Problem:
    return Problem(409, "idempotency_in_progress", "The first request with this key is still being answered.")


def mismatch() -> Problem:
    return Problem(422, "idempotency_mismatch", "This key was already used for a different request.")


def idempotent(handler: Handler, *, required: bool = False, joining: bool = False, logged: bool = False) -> Handler:
    """A handler whose final answers are stored under the caller's key for 24 hours.

    Nobody in particular has no keys: what is answered to a stranger, perhaps a token, must never be had by another
    stranger who thinks of the same key.

    A repeat that arrives while the first is being answered is refused; with `joining` it is handled as well, because
    the command id behind it makes both the same command, which gets the same answer. `logged` says further that the log
    remembers every success, so that only refusals are kept here.
    """
    joining = joining or logged

    @wraps(handler)
    async def answer_once(request: web.Request) -> web.StreamResponse:
        identity = identify(request)
        if identity is None and required:
            raise auth_required()
        key = idempotency_key(request, required=required)
        if key is None or identity is None or _CLAIMED in request:  # claimed by a wrapper around this one
            return await handler(request)
        scope = store.Scope(identity.account_id, request.method, request.path, key)
        writes, now = request.app[WRITES], request.app[CLOCK].now()
        body_hash = _keyed_hash(request, await read_bytes(request))
        claim = await writes.claim(store.Wish(scope, body_hash, now, bound=logged))
        if not claim.mine:
            if claim.body_hash != body_hash:
                raise mismatch()
            if claim.answer is not None:
                return _replay(request, claim.answer)
            if not joining:
                raise in_progress()
            return await handler(request)
        request[_CLAIMED] = True
        try:
            response = await handler(request)
        except Problem as problem:
            response = told(request, problem)
        except BaseException:
            await store.abandon(request.app[POOL], scope)
            raise
        if logged and response.status < 400:
            return response
        if isinstance(response, web.Response) and response.status < 500 and response.status not in _NEVER_STORED:
            body = response.body if isinstance(response.body, bytes) else b""
            await writes.settle(scope, store.Answer(response.status, response.content_type, body))
        else:
            await store.abandon(request.app[POOL], scope)
        return response

    return answer_once


def _keyed_hash(request: web.Request, body: bytes) -> bytes:
    """A body may hold a password, which a plain fast hash would betray to whoever reads the table."""
    secret = blake2b(request.app[CONFIG].jwt_secret.encode(), digest_size=32).digest()
    return blake2b(body, digest_size=32, key=secret).digest()


def _replay(request: web.Request, answer: store.Answer) -> web.Response:
    if answer.content_type == PROBLEM_TYPE and X_REQUEST_ID not in request.headers:
        request[REQUEST_ID] = orjson.loads(answer.body)["request_id"]
    if not answer.body:
        return web.Response(status=answer.status)
    return web.Response(body=answer.body, status=answer.status, content_type=answer.content_type)
