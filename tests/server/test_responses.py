"""Answers on the wire, byte by byte: what is written in one go says what an ordinary response says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import hdrs, web

from server.keys import REQUEST_ID
from server.responses import ANSWER_HEADERS, PUBLIC_READ, prompt, public_answer

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def _said(request: web.Request) -> web.Response:
    request[REQUEST_ID] = "r-1"
    if request.path == "/public":
        return public_answer(request, {"ok": True})
    return prompt({"big": "x" * 300_000} if request.path == "/big" else {"ok": True}, 201)


@asynccontextmanager
async def _line() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    app = web.Application()
    app.router.add_get("/{path:.*}", _said)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    try:
        yield reader, writer
    finally:
        writer.close()
        await runner.cleanup()


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    return head[0].encode(), headers, await reader.readexactly(int(headers["Content-Length"]))


@pytest.mark.parametrize(
    ("asked", "lasting"),
    [
        (GET, True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
async def test_every_client_hears_the_same_and_keeps_its_kind_of_connection(asked: bytes, lasting: bool) -> None:
    async with _line() as (reader, writer):
        for _ in range(2 if lasting else 1):
            writer.write(asked)
            status, headers, body = await _answer(reader)
            assert status.endswith(b" 201 Created")
            assert body == b'{"ok":true}'
            assert headers["Content-Type"] == "application/json"
            assert headers["X-Request-Id"] == "r-1"
            assert headers["Cache-Control"] == "no-store"
            assert headers["Date"].endswith(" GMT")
            assert ANSWER_HEADERS.items() <= headers.items()
        if not lasting:
            assert await reader.read() == b""


async def test_a_head_is_asked_for_and_no_body_comes() -> None:
    async with _line() as (reader, writer):
        writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
        first = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: 11\r\n" in first
        status, _, body = await _answer(reader)
        assert (status, body) == (b"HTTP/1.1 201 Created", b'{"ok":true}')


async def test_who_has_a_public_answer_already_gets_no_body_and_the_connection_stays() -> None:
    async with _line() as (reader, writer):
        writer.write(b"GET /public HTTP/1.1\r\nHost: x\r\n\r\n")
        status, headers, body = await _answer(reader)
        assert (status, body, headers["Cache-Control"]) == (b"HTTP/1.1 200 OK", b'{"ok":true}', PUBLIC_READ)
        etag = headers[hdrs.ETAG].encode()
        writer.write(b"GET /public HTTP/1.1\r\nHost: x\r\nIf-None-Match: %b\r\n\r\n" % etag + GET)
        unchanged = await reader.readuntil(b"\r\n\r\n")
        assert unchanged.startswith(b"HTTP/1.1 304 Not Modified\r\n")
        assert b"Content-Length" not in unchanged
        assert b": %b\r\n" % etag in unchanged
        assert (await _answer(reader))[0] == b"HTTP/1.1 201 Created"


async def test_many_questions_at_once_are_answered_in_turn_however_slowly_they_are_read() -> None:
    async with _line() as (reader, writer):
        writer.write(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n" * 20 + GET)
        sizes = [len((await _answer(reader))[2]) for _ in range(21)]
        assert sizes == [300_010] * 20 + [11]
