"""A WebSocket of aiohttp's that calls back for each message instead of waking a task.

aiohttp's handshake, parser and write buffers are used as they are. Its queue between parser and reading task is
replaced: a message is handled inside `data_received`, which saves a future and a task switch for every command, and
the closing handshake can be begun by whoever has a reason to.
"""

import asyncio
from typing import Any, Final, Protocol

from aiohttp import WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketError, WebSocketReader, WebSocketWriter
from aiohttp.web_request import BaseRequest

_QUEUE_LIMIT: Final = 1 << 16


class Receiver(Protocol):
    """Hears what arrives. `ended` comes exactly once, last."""

    def text(self, payload: bytes) -> None: ...
    def control(self, kind: WSMsgType, payload: Any) -> None:
        """PING, PONG, CLOSE, or BINARY, which nobody may send."""
        ...

    def broken(self, code: int, reason: str) -> None:
        """The other side does not speak the protocol."""
        ...


class _Inbox(WebSocketDataQueue):
    """Stands where the parser puts messages. Nothing is ever queued."""

    def __init__(self, protocol: Any, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> None:
        super().__init__(protocol, _QUEUE_LIMIT, loop=loop)
        self._receiver = receiver
        self.ended: asyncio.Future[None] = loop.create_future()

    def feed_data(self, data: Any, size: int) -> None:
        kind = data[0]
        if kind is WSMsgType.TEXT:
            self._receiver.text(data[1])
        else:
            self._receiver.control(kind, data[1])

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        if isinstance(exc, WebSocketError):
            self._receiver.broken(exc.code, str(exc))
        self.feed_eof()

    def feed_eof(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class LiveResponse(web.WebSocketResponse):
    """Prepare it, `open` it, then await `ended()`. Text arrives as bytes; no compression, ever."""

    def __init__(self, receiver: Receiver, message_bytes_max: int) -> None:
        super().__init__(autoping=False, autoclose=False, compress=False, decode_text=False)
        self._receiver = receiver
        self._message_bytes_max = message_bytes_max
        self._inbox: _Inbox | None = None

    def _post_start(self, request: BaseRequest, protocol: str | None, writer: WebSocketWriter) -> None:
        """As aiohttp's, with our inbox in the place of its queue."""
        loop = asyncio.get_running_loop()
        self._ws_protocol = protocol
        self._writer = writer
        self._inbox = _Inbox(request.protocol, loop, self._receiver)
        # The parser refuses a message as long as its limit, hence one more.
        self._parser = WebSocketReader(self._inbox, self._message_bytes_max + 1, compress=False, decode_text=False)
        request.protocol.keep_alive(val=False)

    def open(self, request: BaseRequest) -> None:
        """Let messages in. Until then they wait in the connection."""
        assert self._parser is not None
        request.protocol.set_parser(self._parser)

    async def ended(self) -> None:
        """Until the connection is gone."""
        assert self._inbox is not None
        await self._inbox.ended

    async def write_eof(self, data: bytes = b"") -> None:
        """The closing handshake is ours and is over by now."""
