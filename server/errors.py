"""Problems: everything that can go wrong, as an answer that a client can act on (RFC 9457).

Every problem has a stable `code` and a plain sentence. `explain` is the one place that turns any exception into a
problem; what it does not know is our fault, becomes `internal_error`, and shows nothing of its inside.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import asyncpg
import orjson
from aiohttp import ClientConnectionResetError, http_exceptions, web
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from actors import ports
from server.payments.provider import ProviderDown, ProviderRefused
from server.responses import Prompt

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 1


class Problem(Exception):
    """An answer other than success. `facts` are further members of the body, `headers` of the response."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **facts: object
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.facts = facts

    def response(self, request_id: str) -> web.Response:
        raw = self.body(request_id)
        if self.headers is None:
            return Prompt(raw, self.status, PROBLEM_TYPE)
        return web.Response(body=raw, status=self.status, headers=self.headers, content_type=PROBLEM_TYPE)

    def body(self, request_id: str) -> bytes:
        return orjson.dumps(
            {
                "type": f"urn:marquee:problem:{self.code}",
                "title": self.code.replace("_", " ").capitalize(),
                "status": self.status,
                "detail": self.detail,
                "code": self.code,
                "request_id": request_id,
                **self.facts,
            }
        )


def not_found(thing: str) -> Problem:
    """The thing does not exist, or the caller may not know that it does."""
    return Problem(404, f"{thing}_not_found", f"There is no such {thing.replace('_', ' ')}.")


def forbidden(detail: str = "Your account may not do this.") -> Problem:
    return Problem(403, "forbidden", detail)


def unauthorized(code: str, detail: str) -> Problem:
    return Problem(401, code, detail, headers={"WWW-Authenticate": "Bearer"})


def auth_required() -> Problem:
    return unauthorized("auth_required", "Sign in first.")


def invalid(path: str, message: str) -> Problem:
    """One field is wrong in a way that only the handler can see."""
    return Problem(422, "validation_failed", "The request is not valid.", errors=[{"path": path, "message": message}])


def unavailable(code: str, detail: str, retry_seconds: int = RETRY_SECONDS) -> Problem:
    return Problem(503, code, detail, headers={"Retry-After": str(retry_seconds)})


def too_many(code: str, detail: str, retry_seconds: int) -> Problem:
    return Problem(429, code, detail, headers={"Retry-After": str(max(1, retry_seconds))})


def explain(error: Exception) -> Problem:
    """The problem that says what an exception means to the client."""
    match error:
        case Problem():
            return error
        case ValidationError():
            return _validation(error)
        case web.HTTPException():
            return _http(error)
        case ports.UnknownShowtime():
            return not_found("showtime")
        case ports.Draining():
            return unavailable("draining", "The server is restarting. Try again in a moment.")
        case ports.WorldFailure():
            return unavailable("busy", "The server cannot do this right now. Try again in a moment.")
        case ProviderDown():
            return unavailable("provider_unavailable", "The payment provider does not answer. Try again soon.", 5)
        case ProviderRefused():
            return Problem(409, "provider_refused", "The payment provider does not take this payment.")
        case (
            asyncpg.PostgresConnectionError()
            | asyncpg.InterfaceError()
            | asyncpg.InternalClientError()
            | asyncpg.AdminShutdownError()
            | asyncpg.CrashShutdownError()
            | ConnectionError()
            | TimeoutError()
        ):
            return unavailable("busy", "The database cannot be reached right now. Try again in a moment.")
        case asyncpg.TooManyConnectionsError() | asyncpg.CannotConnectNowError():
            return unavailable("busy", "The database is busy. Try again in a moment.")
        case http_exceptions.HttpProcessingError() | web.RequestPayloadError():
            return Problem(400, "malformed_request", "The request is not well-formed HTTP.")
        case _:
            return Problem(500, "internal_error", "Something went wrong on our side. It has been noted.")


def is_disconnect(error: Exception) -> bool:
    """Whether the client simply went away: nobody is left to read an answer."""
    return isinstance(error, ClientConnectionResetError)


def _validation(error: ValidationError) -> Problem:
    errors = [
        {"path": ".".join(map(str, found["loc"])), "message": _message(found), "code": found["type"]}
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return Problem(422, "validation_failed", "The request is not valid.", errors=errors)


def _message(found: ErrorDetails) -> str:
    return "This must be a JSON object." if found["type"] == "model_type" else _sentence(found["msg"])


def _sentence(text: str) -> str:
    words = text.removeprefix("Value error, ")
    return f"{words[:1].upper()}{words[1:]}."


_HTTP_CODES: Final = {
    400: ("malformed_request", "The request is not well-formed."),
    404: ("not_found", "There is nothing at this address."),
    413: ("body_too_large", "The body is larger than allowed here."),
    415: ("unsupported_media_type", "This content type is not supported."),
}


def _http(error: web.HTTPException) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(405, "method_not_allowed", f"This address accepts only {allowed}.", headers={"Allow": allowed})
    status = error.status
    phrase = HTTPStatus(status).phrase
    code, detail = _HTTP_CODES.get(status, (phrase.lower().replace(" ", "_").replace("-", "_"), f"{phrase}."))
    return Problem(status, code, detail)
