"""Writing responses: dict in, JSON out, with validators for what may be cached."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import orjson
from aiohttp import hdrs, web

JSON_TYPE: Final = "application/json"
PUBLIC_READ: Final = "public, max-age=0, must-revalidate"
IMMUTABLE: Final = "public, max-age=31536000, immutable"


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer that nobody may cache."""
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type=JSON_TYPE)


def public_answer(request: web.Request, body: object, cache_control: str = PUBLIC_READ) -> web.Response:
    """A JSON answer that caches may keep and ask about again: 304 when the client already has it."""
    raw = orjson.dumps(body)
    etag = f'"{blake2b(raw, digest_size=12).hexdigest()}"'
    headers = {hdrs.ETAG: etag, hdrs.CACHE_CONTROL: cache_control}
    if matches(request.headers.get(hdrs.IF_NONE_MATCH), etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=raw, headers=headers, content_type=JSON_TYPE)


def matches(condition: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the tag (weak comparison)."""
    if condition is None:
        return False
    return condition.strip() == "*" or any(tag.strip().removeprefix("W/") == etag for tag in condition.split(","))


def no_content() -> web.Response:
    return web.Response(status=204)
