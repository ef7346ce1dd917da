"""The little HTTP and WebSocket that the load clients speak: bytes in, bytes out, nothing else.

A load client must cost far less than the server it measures, so requests are put together beforehand and an answer is
looked at only as far as a measurement needs. Client frames are masked with a key of zeros, which
changes nothing.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final

HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"Content-Length: "
_MEDIUM: Final = Struct("!H")
_LONG: Final = Struct("!Q")
_NO_KEY: Final = bytes(4)
SOCKET_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="


def request(method: str, path: str, token: str = "", body: bytes = b"", *, key: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: bench"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if key:
        lines.append(f"Idempotency-Key: {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + HEAD_END + body


def upgrade(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {SOCKET_KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def response(received: bytes) -> tuple[int, int, int] | None:
    """(status, where the body begins, where the answer ends) of the first answer, or None while it is incomplete."""
    head = received.find(HEAD_END)
    if head < 0:
        return None
    body = head + 4
    length = received.find(_LENGTH, 0, body)
    end = body if length < 0 else body + int(received[length + 16 : received.index(b"\r", length)])
    return (int(received[9:12]), body, end) if len(received) >= end else None


def text(payload: bytes) -> bytes:
    """A client's text frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + _NO_KEY + payload
    if size < 65_536:
        return b"\x81\xfe" + _MEDIUM.pack(size) + _NO_KEY + payload
    return b"\x81\xff" + _LONG.pack(size) + _NO_KEY + payload


def frames(received: bytes) -> Iterator[tuple[int, int, int]]:
    """(opcode, payload begin, payload end) of each whole server frame at the front of what was received."""
    begin, have = 0, len(received)
    while have - begin >= 2:
        size, payload = received[begin + 1] & 0x7F, begin + 2
        if size == 126:
            if have - payload < 2:
                return
            size, payload = _MEDIUM.unpack_from(received, payload)[0], payload + 2
        elif size == 127:
            if have - payload < 8:
                return
            size, payload = _LONG.unpack_from(received, payload)[0], payload + 8
        if have - payload < size:
            return
        yield received[begin] & 0x0F, payload, payload + size
        begin = payload + size


def span(payload: bytes) -> tuple[int, int] | None:
    """The versions that a public frame covers: `from…to` of a delta, `seq` twice of a showtime frame, None of others.

    Relies on the order in which the server writes the fields, which is what makes it cheap.
    """
    if payload.startswith(b'{"type":"delta"'):
        return _number(payload, b'"from":'), _number(payload, b'"to":')
    if payload.startswith(b'{"type":"showtime"'):
        seq = _number(payload, b'"seq":')
        return seq, seq
    return None


def snapshot_version(payload: bytes) -> int | None:
    return _number(payload, b'"seq":') if payload.startswith(b'{"type":"snapshot"') else None


def _number(payload: bytes, name: bytes) -> int:
    begin = payload.index(name) + len(name)
    end = begin
    while payload[end : end + 1].isdigit():
        end += 1
    return int(payload[begin:end])
