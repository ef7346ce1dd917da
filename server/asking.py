"""How an HTTP request becomes a command, and what became of it an HTTP answer.

Everything that goes to a showtime's actor passes here, so the key, the caller and the intent are put into a command
in one way only. The live socket uses the same operation names: one key is one command, wherever it is sent.
"""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from actors.ids import mint
from actors.ports import UnknownShowtime
from actors.seatmap.commands import ActorKind, Cause, Command
from actors.showtime import Reply, ShowtimeActor
from server import wire
from server.auth.identity import Identity
from server.errors import Problem, not_found
from server.idempotency import command_id, idempotency_key, intent_of
from server.keys import CLOCK, REGISTRY, REQUEST_ID
from server.requests import path_id
from server.responses import no_content, prompt

_NO_NAMES: Final[Mapping[str, str]] = {}


def cause(
    request: web.Request,
    caller: Identity,
    operation: str,
    asked: BaseModel | None = None,
    *,
    kind: ActorKind = ActorKind.CUSTOMER,
    key_required: bool = False,
    unkeyed: str | None = None,
    **names: str,
) -> Cause:
    """Who asks, and under which id: that of the key, else `unkeyed`, else a fresh one.

    `asked` and the `names` from the path are all that the client said. The same key with another body is refused; at
    another path it is another key.
    """
    key = idempotency_key(request, required=key_required)
    request_id = request[REQUEST_ID]
    if key is None:
        return Cause(unkeyed or mint(request.app[CLOCK].now()), kind, caller.account_id, request_id)
    return keyed(key, caller.account_id, operation, asked, request_id, kind, names)


def keyed(
    key: str,
    who: str,
    operation: str,
    asked: BaseModel | None,
    request_id: str,
    kind: ActorKind = ActorKind.CUSTOMER,
    names: Mapping[str, str] = _NO_NAMES,
) -> Cause:
    """The cause of a command that its asker may send again under the same key."""
    said = {} if asked is None else asked.model_dump(exclude_unset=True)
    intent = intent_of({**said, **names})
    return Cause(command_id(who, operation, key, *names.values()), kind, who, request_id, retryable=True, intent=intent)


async def ask(request: web.Request, showtime_id: str, command: Command) -> web.Response:
    """Send a command and answer with what became of it."""
    return respond(await request.app[REGISTRY].ask(showtime_id, command), command)


def respond(reply: Reply, command: Command) -> web.Response:
    """The answer to a command. Problem for a refusal."""
    status, body = wire.answer(reply, command)
    if status >= 400:
        raise problem(status, body, command.cause)
    return no_content() if status == 204 else prompt(body, status)


def problem(status: int, body: Mapping[str, object], cause: Cause) -> Problem:
    """A refusal as a problem. With a key its request id is the command's, so that a retry gets the same bytes."""
    facts: dict[str, Any] = {name: fact for name, fact in body.items() if name not in ("code", "detail")}
    if cause.retryable:
        facts["request_id"] = cause.command_id
    return Problem(status, str(body["code"]), str(body["detail"]), **facts)


async def actor_behind(request: web.Request, name: str, thing: str) -> tuple[str, ShowtimeActor]:
    """The hold or booking id in the path, and the actor of its showtime. 404 <thing>_not_found."""
    named = path_id(request, name, thing)
    return named, await actor_of(request, named, thing)


async def actor_of(request: web.Request, within: str, thing: str) -> ShowtimeActor:
    """The actor of the showtime that a hold, booking or payment id belongs to. 404 <thing>_not_found."""
    showtimes = request.app[REGISTRY]
    try:
        return await showtimes.actor(await showtimes.locate(within))
    except UnknownShowtime:
        raise not_found(thing) from None
