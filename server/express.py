"""The short way of a hold: from aiohttp's parser into the actor's mailbox, from its answer into the transport.

aiohttp reads and parses every request. One that is a hold like nearly all of them is then handled inside
`data_received`, as the live socket handles its frames: no request object, no router and no task is made for it.
Whatever is unusual about a request sends it the ordinary way, untouched, and both ways share what gives an answer its
meaning and its bytes, so nobody can tell which one was taken. The ordinary way, too, is shorter for a request that has
arrived whole: one task, where aiohttp's own loop of a connection takes two.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import orjson
from aiohttp import HttpVersion11, StreamReader, hdrs, web
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.web_protocol import RequestHandler

from actors.ids import mint
from actors.seatmap.commands import ActorKind, Cause, Command
from actors.showtime import Reply, ShowtimeActor
from server import wire
from server.asking import keyed, problem
from server.auth.identity import Identity
from server.errors import PROBLEM_TYPE, Problem, explain
from server.idempotency import HEADER, acceptable_key
from server.keys import CLOCK, CONFIG, EXPRESS, LIFE, PACES, REGISTRY, TELEMETRY, TOKENS
from server.middleware import X_REQUEST_ID, RequestIds, noted
from server.requests import BODY_BYTES_MAX, parse_json
from server.responses import ANSWER_HEADERS, JSON_TYPE, NO_STORE, UNREAD_BYTES_MAX, Kind, whole
from server.rest import holds

_BEFORE, _AFTER = holds.PATH.split("{showtime_id}")
_PATH_LENGTH: Final = len(_BEFORE) + 36 + len(_AFTER)
_BEARER: Final = "Bearer "
_NO_HEADERS: Final = ()
_validated: Final = holds.NewHold.__pydantic_validator__.validate_python
_Message = tuple[RawRequestMessage, StreamReader]


class Express:
    """What the connections of an application share, to answer holds by themselves."""

    def __init__(self, app: web.Application) -> None:
        self.telemetry = app[TELEMETRY]
        self.monotonic = app[CLOCK].monotonic
        self._now = app[CLOCK].now
        self._life = app[LIFE]
        self._verify = app[TOKENS].verify_token
        self._resident = app[REGISTRY].resident
        self._paces = app[PACES]
        self._pages_elsewhere = bool(app[CONFIG].cors_origins)
        self._ids = RequestIds()
        self._resource = next(resource for resource in app.router.resources() if resource.canonical == holds.PATH)

    def take(self, connection: "Connection", message: RawRequestMessage, payload: StreamReader) -> bool:
        """Handle an ordinary hold; anything else is left as it is: False."""
        path, headers = message.path, message.headers
        if (
            len(path) != _PATH_LENGTH
            or message.method != hdrs.METH_POST
            or not (path.startswith(_BEFORE) and path.endswith(_AFTER))
            or message.should_close
            or message.chunked
            or message.compression
            or message.version != HttpVersion11
            or not payload.is_eof()
            or payload.total_bytes > BODY_BYTES_MAX
            or headers.get(hdrs.CONTENT_TYPE) != JSON_TYPE
            or hdrs.EXPECT in headers
            or (self._pages_elsewhere and hdrs.ORIGIN in headers)
            or self._life.draining
        ):
            return False
        actor = self._resident(path[len(_BEFORE) : -len(_AFTER)])
        caller = self._caller(headers.get(hdrs.AUTHORIZATION, ""))
        if actor is None or caller is None:
            return False
        call = Call(self, connection, self._ids.of(headers), path)
        try:
            self._post(call, actor, caller, headers.get(HEADER), payload.read_nowait())
        except Exception as error:  # noqa: BLE001 (every failure becomes an answer here)
            call.fail(error)
        return True

    def refuse(self, error: BaseException | None) -> web.Response:
        """The problem for what is no request, or could not be answered; its connection ends."""
        refusal, request_id = explain(error if isinstance(error, Exception) else RuntimeError()), self._ids.of({})
        headers = {**ANSWER_HEADERS, X_REQUEST_ID: request_id, hdrs.CACHE_CONTROL: NO_STORE}
        body = refusal.body(request_id)
        response = web.Response(body=body, status=refusal.status, headers=headers, content_type=PROBLEM_TYPE)
        response.force_close()
        return response

    def answered(self, status: int, began: float) -> None:
        self.telemetry.requests.answered(hdrs.METH_POST, self._resource, status, self.monotonic() - began)

    def has_named(self, request_id: str) -> bool:
        """Whether this is no id of the client's."""
        return self._ids.has_made(request_id)

    def _caller(self, authorization: str) -> Identity | None:
        """Whom the token names. Who has none that is good hears why on the ordinary way."""
        if not authorization.startswith(_BEARER):
            return None
        try:
            return self._verify(authorization[len(_BEARER) :])
        except Problem:
            return None

    def _post(self, call: "Call", actor: ShowtimeActor, caller: Identity, key: str | None, raw: bytes) -> None:
        who, now = caller.account_id, self._now()
        if self._paces is not None:
            self._paces.callers.spend(who, self.monotonic())
        asked = _validated(parse_json(raw))

        def why(operation: str, unkeyed: str | None) -> Cause:
            if key is not None:
                return keyed(acceptable_key(key), who, operation, asked, call.request_id)
            return Cause(unkeyed or mint(now), ActorKind.CUSTOMER, who, call.request_id)

        command = holds.wanted(asked, actor.snapshot.number, now, why)
        actor.post(command, partial(call.answer, command))


class Call:
    """One hold on its way, and where its answer goes. It answers once and never raises."""

    __slots__ = ("_began", "_connection", "_express", "_path", "request_id")

    def __init__(self, express: Express, connection: "Connection", request_id: str, path: str) -> None:
        self.request_id = request_id
        self._express = express
        self._connection = connection
        self._path = path
        self._began = express.monotonic()

    def answer(self, command: Command, reply: Reply | BaseException) -> None:
        """Called from the actor's turn."""
        try:
            if isinstance(reply, BaseException):
                raise reply
            status, body = wire.answer(reply, command)
            if status >= 400:
                raise problem(status, body, command.cause)
            self._write((status, JSON_TYPE, NO_STORE, "", _NO_HEADERS), orjson.dumps(body))
        except Exception as error:  # noqa: BLE001 (every failure becomes an answer here)
            self.fail(error)

    def fail(self, error: Exception) -> None:
        refusal = noted(self._express.telemetry, error, self.request_id, self._path)
        own = refusal.facts.get("request_id")
        if own is not None and self._express.has_named(self.request_id):
            self.request_id = str(own)
        more = tuple(refusal.headers.items()) if refusal.headers else _NO_HEADERS
        self._write((refusal.status, PROBLEM_TYPE, NO_STORE, "", more), refusal.body(self.request_id))

    def _write(self, kind: Kind, body: bytes) -> None:
        self._express.answered(kind[0], self._began)
        self._connection.answer(whole(kind, body, self.request_id))


class Connection(RequestHandler):
    """aiohttp's connection, which deals with one request that has arrived whole while nothing else is under way.

    `Express` has the first look at it. What arrives before it is answered waits unread, so answers keep the order of
    their requests. Everything else is left to aiohttp.
    """

    def __init__(self, manager: web.Server, express: Express, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._parser = _Parser(self._parser, self.take)  # type: ignore[assignment]
        self._express = express
        self._under_way = False
        self._leaving = False
        self._arrived = b""
        self._done: asyncio.Future[None] | None = None
        self._serving: asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        if not self._under_way:
            super().data_received(data)
            return
        self._arrived += data
        if len(self._arrived) > UNREAD_BYTES_MAX and self.transport is not None:
            self.transport.pause_reading()

    def take(self, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Whether this request is dealt with, or will be."""
        waiter, transport = self._waiter, self.transport
        if waiter is None or waiter.done() or self._messages or transport is None:
            return False
        if transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            return False  # the ordinary way waits for those who do not read
        self._under_way = True
        if self._express.take(self, message, payload):
            return True
        if payload.is_eof() and not (message.upgrade or message.should_close or hdrs.EXPECT in message.headers):
            self._serving = self._loop.create_task(self._serve(message, payload))
            return True
        self._under_way = False
        return False

    def answer(self, raw: bytes) -> None:
        """Write the answer of the hold that is under way, and go on."""
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(raw)
        self._go_on()

    async def _serve(self, message: RawRequestMessage, payload: StreamReader) -> None:
        """What aiohttp's loop of a connection does for a request, in one task."""
        lasts = False
        factory, handler = self._request_factory, self._request_handler
        try:
            if factory is not None and handler is not None:  # the client is still there
                writer = StreamWriter(self, self._loop)
                request = factory(message, payload, self, writer, self._task_handler)  # type: ignore[arg-type]
                began = self._loop.time() if self._logging_enabled else None
                response, lost = await self._handle_request(request, began, handler)
                lasts = not lost and bool(response.keep_alive)
        except ConnectionError:
            pass  # the client has gone
        except Exception as error:  # noqa: BLE001 (an answer had begun; its connection ends)
            self.log_exception("Unhandled exception", exc_info=error)
        finally:
            if not lasts:
                self.force_close()
            self._go_on()

    def _go_on(self) -> None:
        """Nothing is under way any more: turn to what arrived meanwhile."""
        self._under_way, self._serving = False, None
        transport = self.transport
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
        if self._leaving:
            super().close()
        elif self._arrived:
            arrived, self._arrived = self._arrived, b""
            if transport is not None and not (self._reading_paused or self._buffer_paused):
                transport.resume_reading()
            self.data_received(arrived)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp says so whenever a body was read. Where nothing has paused there is nothing to parse again."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def close(self) -> None:
        if self._under_way:
            self._leaving = True
        else:
            super().close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # logs, and raises where an answer has begun
        return self._express.refuse(exc)

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 (aiohttp's own)
        if self._under_way:
            self._done = self._loop.create_future()
            await asyncio.wait([self._done], timeout=timeout)
            if self._serving is not None:
                self._serving.cancel()
        await super().shutdown(timeout)

    def _process_keepalive(self) -> None:
        if self._under_way:
            self._keepalive_handle = self._loop.call_later(self._keepalive_timeout, self._process_keepalive)
        else:
            super()._process_keepalive()


class _Parser:
    """aiohttp's parser, whose messages are offered to `take` before its connection queues them."""

    def __init__(self, parser: Any, take: Callable[[RawRequestMessage, StreamReader], bool]) -> None:
        self._feed = parser.feed_data
        self._take = take
        self.message_consumed = parser.message_consumed
        self.feed_eof = parser.feed_eof
        self.pause_reading = parser.pause_reading
        self.set_upgraded = parser.set_upgraded

    def feed_data(self, data: bytes) -> tuple[Sequence[_Message], bool, bytes]:
        messages, upgraded, tail = self._feed(data)
        if len(messages) == 1 and not upgraded and self._take(*messages[0]):
            self.message_consumed()
            return (), False, tail
        return messages, upgraded, tail


class Runner(web.AppRunner):
    """Runs an application whose connections are ours."""

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self.app[EXPRESS](self.app))


class _Server(web.Server):
    def __init__(self, ordinary: web.Server, express: Express) -> None:
        super().__init__(
            ordinary.request_handler,
            request_factory=ordinary.request_factory,
            handler_cancellation=ordinary.handler_cancellation,
            loop=ordinary._loop,  # noqa: SLF001 (aiohttp has no other way to say what its connections are)
            **ordinary._kwargs,  # noqa: SLF001
        )
        self._express = express

    def __call__(self) -> RequestHandler:
        return Connection(self, self._express, loop=self._loop, **self._kwargs)
