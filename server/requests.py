"""Reading requests: bodies, queries and ids from outside become typed values here, or a problem.

`read_body` lies on the way of every hold, so it asks the cheap question first everywhere and turns to the thorough
one only for bodies that could be affected.
"""

import asyncio
import base64
import json
import re
from collections.abc import Sequence
from datetime import date, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated, Any, Final, Self, TypeVar

import orjson
from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from actors.ids import is_uuid
from server.errors import Problem, invalid, not_found

BODY_BYTES_MAX: Final = 256 * 1024
BODY_SECONDS_MAX: Final = 10
JSON_DEPTH_MAX: Final = 64
_BODY: Final[web.RequestKey[bytes]] = web.RequestKey("body", bytes)

_is_time: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d").match

Network = IPv4Network | IPv6Network


def _id(text: str) -> str:
    if not is_uuid(text):
        raise ValueError("this is not an id")
    return text


def _day(text: object) -> object:
    if isinstance(text, str) and (len(text) != 10 or text[:2] not in ("19", "20", "21")):
        raise ValueError("a day looks like 2026-11-21")
    return text


def _time_text(text: object) -> object:
    if isinstance(text, str) and not _is_time(text):
        raise ValueError("a time looks like 2026-11-21T18:00:00Z")
    return text


def _time(at: datetime) -> datetime:
    if not 1900 <= at.year < 2200:
        raise ValueError("this time is too far away")
    return at


Text = Annotated[str, Field(max_length=200)]
Id = Annotated[str, AfterValidator(_id), Field(json_schema_extra={"format": "uuid"})]
Day = Annotated[date, BeforeValidator(_day)]
WireTime = Annotated[AwareDatetime, BeforeValidator(_time_text), AfterValidator(_time)]


class Body(BaseModel):
    """What a client may send: exactly these fields, in exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """Query parameters. Text is converted; parameters that nobody asked for are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Page(Query):
    """A piece of a list."""

    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=500)


B = TypeVar("B", bound=BaseModel)


async def read_body(request: web.Request, model: type[B]) -> B:
    """The JSON body as `model`. 400 malformed_json, 413 body_too_large, 415, 422 validation_failed."""
    raw = await read_bytes(request)
    content_type = request.headers.get("Content-Type", "")
    if content_type != "application/json" and not _is_json(content_type):
        if not raw and not content_type:
            raise Problem(400, "malformed_json", "A JSON body is needed.")
        raise Problem(415, "unsupported_media_type", "The body must be application/json.")
    return model.__pydantic_validator__.validate_python(parse_json(raw))  # type: ignore[no-any-return]


async def read_optional_body(request: web.Request, model: type[B]) -> B:
    """Like `read_body`, but no body at all means `{}`."""
    if not await read_bytes(request):
        return model.model_validate({})
    return await read_body(request, model)


async def read_bytes(request: web.Request) -> bytes:
    """The raw body. A body that dribbles in for longer than BODY_SECONDS_MAX ends the connection."""
    content = request.content
    if content.at_eof():  # read before, or there is none
        known: bytes = request.get(_BODY, b"")
        return known
    if content.is_eof():  # all of it came with the head, as it nearly always does
        raw = content.read_nowait()
        if len(raw) > request.client_max_size:
            raise web.HTTPRequestEntityTooLarge(request.client_max_size, len(raw))
        request[_BODY] = raw
        return raw
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            raw = request[_BODY] = await request.read()
            return raw
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise Problem(408, "request_timeout", "The body took too long to arrive.") from None


def parse_json(raw: bytes) -> Any:
    """JSON as strict as it can be read: no NaN, NUL, lone surrogates, duplicate keys or towers of brackets."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _malformed(str(error).partition(":")[0]) from None
    if (
        type(value) is dict
        and raw.count(b":") == len(value)
        and b"\\u0000" not in raw
        and raw.count(b"[") < JSON_DEPTH_MAX
    ):
        return value  # flat, as most are: as many members as colons leaves no room for a second one of a name
    if len(raw) > JSON_DEPTH_MAX and raw.count(b"[") + raw.count(b"{") > JSON_DEPTH_MAX < _depth(value):
        raise _malformed("nested too deeply")
    if b"\\u0000" in raw and _has_nul(value):
        raise _malformed("NUL characters are not allowed")
    # Each key has its colon: where there are as many colons as keys, none was swallowed by another of its name.
    colons = raw.count(b":")
    if colons and colons != _keys(value) and _has_duplicates(raw):
        raise _malformed("a key is given twice")
    return value


def read_query(request: web.Request, model: type[B]) -> B:
    """The query string as `model`; an empty parameter is an absent one. 422 validation_failed."""
    query = request.query
    for name, text in query.items():
        if "\x00" in text or not _encodable(text):
            raise invalid(name, "This text holds characters that are not allowed.")
    return model.model_validate({name: text for name, text in query.items() if text})


def path_id(request: web.Request, name: str, thing: str) -> str:
    """An id from the path. What is no id at all cannot exist: 404 <thing>_not_found."""
    value = request.match_info[name]
    if not is_uuid(value):
        raise not_found(thing)
    return value


def client_address(request: web.Request, trusted: Sequence[Network]) -> str:
    """Who is calling. `X-Forwarded-For` is believed only as far back as trusted proxies wrote it."""
    caller = request.remote or ""
    if not trusted:
        return caller
    hops = [hop.strip() for hop in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")]
    while hops and _is_in(caller, trusted) and _is_address(hops[-1]):
        caller = hops.pop()
    return caller


class Cursor(BaseModel):
    """A place in a sorted list: the sort key and id of the last row seen, opaque to clients."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    key: str = Field(max_length=300)
    id: str = Field(max_length=36)

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """422 for anything that `text()` did not write."""
        if text is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            key, last_id = orjson.loads(raw)
            cursor = cls(key=key, id=last_id)
        except (ValueError, TypeError):
            raise invalid("cursor", "This cursor was not made by this server.") from None
        if not is_uuid(cursor.id) or "\x00" in cursor.key:
            raise invalid("cursor", "This cursor was not made by this server.")
        return cursor

    def text(self) -> str:
        return base64.urlsafe_b64encode(orjson.dumps([self.key, self.id])).rstrip(b"=").decode()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_json(content_type: str) -> bool:
    kind, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    return kind.strip().lower() == "application/json" and charset in ("", "charset=utf-8", "charset=utf8")


def _malformed(why: str) -> Problem:
    return Problem(400, "malformed_json", f"The body is not acceptable JSON: {why}.")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_NESTED: Final = frozenset((dict, list))
_LISTED: Final = frozenset((list, type({}.values())))


def _keys(value: Any) -> int:
    keys = 0
    if type(value) is dict:
        keys = len(value)
        value = value.values()
    for inner in value if type(value) in _LISTED else ():
        if type(inner) in _NESTED:
            keys += _keys(inner)
    return keys


def _depth(value: Any) -> int:
    deepest, pending = 0, [(value, 1)]
    while pending:
        inner, depth = pending.pop()
        if type(inner) in _NESTED:
            deepest = max(deepest, depth)
            pending.extend((child, depth + 1) for child in (inner.values() if type(inner) is dict else inner))
    return deepest


def _has_nul(value: Any) -> bool:
    if type(value) is str:
        return "\x00" in value
    if type(value) is dict:
        return any(_has_nul(key) or _has_nul(inner) for key, inner in value.items())
    return type(value) is list and any(map(_has_nul, value))


class _Duplicate(Exception):
    pass


def _has_duplicates(raw: bytes) -> bool:
    def check(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) != len(pairs):
            raise _Duplicate

    try:
        json.loads(raw, object_pairs_hook=check)
    except _Duplicate:
        return True
    return False
