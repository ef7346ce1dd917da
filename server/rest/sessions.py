"""Where one is signed in, over HTTP: the list, and ending one of them."""

from typing import Final

from aiohttp import web
from typing_extensions import TypedDict

from server.auth import identity
from server.errors import not_found
from server.keys import SESSIONS
from server.listings import after_start
from server.operations import SIGNED_IN, Operation
from server.requests import Cursor, Page, path_id, read_query
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
    query = read_query(request, Page)
    after = after_start(Cursor.read(query.cursor))
    living = await request.app[SESSIONS].living(caller.account_id, after, query.limit + 1)
    shown = living[: query.limit]
    last = shown[-1] if len(living) > query.limit else None
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
            for session in shown
        ],
        "next_cursor": Cursor(key=str(last.used_at), id=last.id).text() if last else None,
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
        "GET", "/api/v1/auth/sessions", sessions, "Where one is signed in, where one was last first.",
        access=SIGNED_IN, answers={200: Listed[Session]}, query=Page,
    ),
    Operation(
        "DELETE", "/api/v1/auth/sessions/{id}", end, "Sign out there, at once.",
        access=SIGNED_IN, answers={204: None}, problems=("session_not_found",),
    ),
)  # fmt: skip
