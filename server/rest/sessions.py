"""Where one is signed in, over HTTP: the list, and ending one of them."""

from typing import Final

from aiohttp import web
from typing_extensions import TypedDict

from server.auth import identity
from server.errors import not_found
from server.keys import SESSIONS
from server.operations import SIGNED_IN, Operation
from server.requests import path_id
from server.responses import answer, no_content
from server.shapes import Listed
from server.wire import rfc3339


class Session(TypedDict):
    """One browser or program that is signed in. `expires_at` moves on as long as it is used."""

    id: str
    current: bool
    agent: str
    created_at: str
    used_at: str
    expires_at: str


async def sessions(request: web.Request) -> web.Response:
    caller = identity.caller(request)
    living = await request.app[SESSIONS].living(caller.account_id)
    body: Listed[Session] = {
        "items": [
            {
                "id": session.id,
                "current": session.id == caller.session_id,
                "agent": session.agent,
                "created_at": rfc3339(session.created_at),
                "used_at": rfc3339(session.used_at),
                "expires_at": rfc3339(session.expires_at),
            }
            for session in living
        ],
        "next_cursor": None,
    }
    return answer(body)


async def end(request: web.Request) -> web.Response:
    caller = identity.caller(request)
    session_id = path_id(request, "id", "session")
    if not await request.app[SESSIONS].end_own(caller.account_id, session_id):
        raise not_found("session")
    return no_content()


OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/auth/sessions", sessions, "Where one is signed in.",
        access=SIGNED_IN, answers={200: Listed[Session]},
    ),
    Operation(
        "DELETE", "/api/v1/auth/sessions/{id}", end, "Sign out there, at once.",
        access=SIGNED_IN, answers={204: None}, problems=("session_not_found",),
    ),
)  # fmt: skip
