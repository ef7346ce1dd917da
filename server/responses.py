"""Writing responses: dict in, JSON out, with validators for what may be cached."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import ClientConnectionResetError, HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time

from server.keys import REQUEST_ID

JSON_TYPE: Final = "application/json"
ANSWER_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "marquee",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What every answer that is no page carries."""

NO_STORE: Final = "no-store"
NOT_MODIFIED: Final = 304
UNREAD_BYTES_MAX: Final = 64 * 1024
PUBLIC_READ: Final = "public, max-age=0, must-revalidate"
IMMUTABLE: Final = "public, max-age=31536000, immutable"


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer that nobody may cache."""
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type=JSON_TYPE)


Kind = tuple[int, str, str, str, tuple[tuple[str, str], ...]]
"""What makes two heads the same: status, content type, cache control, etag, further headers."""


class Prompt(web.Response):
    """A JSON answer whose head is put together in one go and leaves with the body in one write.

    Half of what an ordinary response costs is its headers, and those of an answer to a hold differ in three values. Who
    asks for a head only, without HTTP/1.1 or without a lasting connection gets an ordinary response. With an `etag` it
    is an answer that caches may keep; one with status 304 has no body.
    """

    def __init__(
        self, body: bytes, status: int, content_type: str = JSON_TYPE, *, etag: str = "", cache_control: str = NO_STORE
    ) -> None:
        web.StreamResponse.__init__(self, status=status)
        if status != NOT_MODIFIED:
            self.headers[hdrs.CONTENT_TYPE] = content_type
        if etag:
            self.headers[hdrs.ETAG] = etag
            self.headers[hdrs.CACHE_CONTROL] = cache_control
        self._kind: Kind = (status, content_type, cache_control, etag, ())
        self.body = body
        self._sent = body
        self._ordinary: web.Response | None = None
        self._written = False

    @property
    def prepared(self) -> bool:
        return self._written or self._ordinary is not None

    @property
    def keep_alive(self) -> bool | None:
        return self._written if self._ordinary is None else self._ordinary.keep_alive

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        request_id = request[REQUEST_ID]
        if request.version != HttpVersion11 or not request.keep_alive or request.method == hdrs.METH_HEAD:
            self._ordinary = self.ordinary(request_id)
            return await self._ordinary.prepare(request)
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ClientConnectionResetError("the client has gone")
        self._written = True
        transport.write(whole(self._kind, self._sent, request_id))
        if transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            await request.writer.drain()
        return None

    def ordinary(self, request_id: str) -> web.Response:
        """The same as a response that more headers can be added to."""
        more = {hdrs.CACHE_CONTROL: NO_STORE, "X-Request-Id": request_id, **ANSWER_HEADERS, **self.headers}
        return web.Response(body=self._sent, status=self.status, headers=more)

    async def write_eof(self, data: bytes = b"") -> None:
        if self._ordinary is not None:
            await self._ordinary.write_eof(data)


def prompt(body: object, status: int = 200) -> Prompt:
    """What `answer` says, said faster."""
    return Prompt(orjson.dumps(body), status)


def kept_answer(request: web.Request, raw: bytes, etag: str, cache_control: str = PUBLIC_READ) -> Prompt:
    """JSON that caches may keep and ask about again: 304 when the client already has it."""
    if matches(request.headers.get(hdrs.IF_NONE_MATCH), etag):
        return Prompt(b"", NOT_MODIFIED, etag=etag, cache_control=cache_control)
    return Prompt(raw, 200, etag=etag, cache_control=cache_control)


def whole(kind: Kind, body: bytes, request_id: str) -> bytes:
    """An answer from its first byte to its last."""
    head, date = _head(kind), _date(rfc822_formatted_time())
    if kind[0] == NOT_MODIFIED:
        return b"%bX-Request-Id: %b\r\nDate: %b\r\n\r\n" % (head, request_id.encode(), date)
    return b"%bX-Request-Id: %b\r\nDate: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        head,
        request_id.encode(),
        date,
        len(body),
        body,
    )


@lru_cache(maxsize=2_048)
def _head(kind: Kind) -> bytes:
    """The part of a head that is the same for all answers of a kind."""
    status, content_type, cache_control, etag, more = kind
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: cache_control}
    if status != NOT_MODIFIED:  # what a cache kept has its other headers already
        headers |= {hdrs.CONTENT_TYPE: content_type, **ANSWER_HEADERS}
    if etag:
        headers[hdrs.ETAG] = etag
    headers.update(more)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "".join(f"{line}\r\n" for line in lines).encode()


@lru_cache(maxsize=1)
def _date(text: str) -> bytes:
    return text.encode()


def public_answer(request: web.Request, body: object, cache_control: str = PUBLIC_READ) -> web.Response:
    """A JSON answer that caches may keep and ask about again: 304 when the client already has it."""
    raw = orjson.dumps(body)
    return kept_answer(request, raw, etag_of(raw), cache_control)


def etag_of(raw: bytes) -> str:
    return f'"{blake2b(raw, digest_size=12).hexdigest()}"'


def matches(condition: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the tag (weak comparison)."""
    if condition is None:
        return False
    return condition.strip() == "*" or any(tag.strip().removeprefix("W/") == etag for tag in condition.split(","))


def no_content() -> web.Response:
    return web.Response(status=204)
