"""Where the live edge touches sockets: the upgrade's checks, and carrying out what a session says is to be done.

Nothing here decides anything about seats or the protocol. A command goes from the parser's callback into the actor's
mailbox, and its answer from the actor's callback into the transport; no task is made for a message.
"""

import asyncio
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import WSMsgType, hdrs, web
from pydantic import Field

from actors.ids import mint_in
from actors.ports import Clock, Draining, Handle, UnknownShowtime, WorldFailure
from actors.seatmap.commands import Command
from actors.showtime import Reply
from actors.showtimes import Showtimes
from persistence import programme
from server import wire
from server.auth.identity import Identity
from server.auth.tokens import Tokens
from server.config import Config
from server.errors import Problem, explain, forbidden, too_many
from server.keys import CLOCK, CONFIG, HUB, LIVE, POOL, REGISTRY, REQUEST_ID, TELEMETRY, TOKENS
from server.live import frames
from server.live.hub import Hub
from server.live.lobby import Lobby
from server.live.session import Ask, Authenticate, Close, CloseCode, Desk, Resync, Send, Session
from server.live.upgrade import LiveResponse
from server.live.watcher import Gate, Watcher
from server.middleware import X_REQUEST_ID
from server.operations import PUBLIC, Operation
from server.requests import Query, client_address, path_id, read_query
from server.responses import ANSWER_HEADERS

RETRY_MS_MIN: Final = 200
RETRY_MS_PER_SOCKET: Final = 2
RETRY_MS_MAX: Final = 10_000
FAREWELL_SECONDS: Final = 2.0
ADDRESS_RETRY_SECONDS: Final = 10
_PORTS: Final = {"http": 80, "https": 443}
_log: Final = structlog.get_logger("marquee.live")


class Edge:
    """What all sockets of a process share."""

    def __init__(
        self, showtimes: Showtimes, hub: Hub, lobby: Lobby, tokens: Tokens, clock: Clock, config: Config
    ) -> None:
        self.showtimes = showtimes
        self.hub = hub
        self.lobby = lobby
        self.tokens = tokens
        self.clock = clock
        self.config = config
        self.limits = hub.limits
        self.gate = Gate(clock, hub.limits)
        self.connections: dict[Connection, None] = {}
        self.draining = False
        self._by_session: dict[str, dict[Connection, None]] = {}
        self._by_address: Counter[str] = Counter()
        self._sweep: Handle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._sweep = self.clock.call_at(self.clock.now() + self.limits.sweep_ms, self._check_signed_in)

    def stop(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for task in self._tasks:
            task.cancel()

    def admit(self, request: web.Request) -> str:
        """The caller's address, if a socket may be opened from it. Problem 426, 403 or 429."""
        if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
            raise Problem(426, "upgrade_required", "This is a WebSocket.", headers={hdrs.UPGRADE: "websocket"})
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and not self._is_ours(origin, request.host):
            raise forbidden("Sockets are opened by this site's own pages only.")
        address = client_address(request, self.config.trusted_proxies)
        if self.config.rate_limit and self._by_address[address] >= self.limits.sockets_per_address_max:
            raise too_many("rate_limited", "Too many sockets are open from your address.", ADDRESS_RETRY_SECONDS)
        return address

    def opened(self, connection: "Connection", address: str) -> None:
        self.connections[connection] = None
        self._by_address[address] += 1

    def closed(self, connection: "Connection", address: str) -> None:
        self.connections.pop(connection, None)
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        if connection.session.identity is not None:
            self.signed_out(connection, connection.session.identity)

    def signed_in(self, connection: "Connection", identity: Identity) -> None:
        self._by_session.setdefault(identity.session_id, {})[connection] = None

    def signed_out(self, connection: "Connection", identity: Identity) -> None:
        if (connections := self._by_session.get(identity.session_id)) is not None:
            connections.pop(connection, None)
            if not connections:
                del self._by_session[identity.session_id]

    def revoked(self, session_id: str) -> None:
        """Everybody who came with this session is shown out at once."""
        for connection in tuple(self._by_session.get(session_id, ())):
            connection.end(CloseCode.SIGNED_OUT, "token_revoked")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Send everybody away, spread over time, and do not wait long for those who dawdle."""
        self.draining = True
        self.hub.dismiss()
        spread = min(RETRY_MS_MIN + RETRY_MS_PER_SOCKET * len(self.connections), RETRY_MS_MAX)
        for connection in tuple(self.connections):
            connection.watcher.send(frames.bye("restarting", RETRY_MS_MIN + secrets.randbelow(spread)))
            connection.end(CloseCode.RESTARTING, "restarting")
        gone = [connection.gone for connection in self.connections]
        if gone:
            await asyncio.wait(gone, timeout=FAREWELL_SECONDS)
        for connection in tuple(self.connections):
            connection.abort()

    def _is_ours(self, origin: str, host: str) -> bool:
        site = _site(origin)
        if site is None:
            return False
        public_url = self.config.public_url
        return site == _site(f"{site[0]}://{host}") or (public_url is not None and site == _site(public_url))

    def _check_signed_in(self) -> None:
        now = self.clock.now()
        for connections in tuple(self._by_session.values()):
            for connection in tuple(connections):
                connection.perform(connection.session.check(now))
        self._sweep = self.clock.call_at(now + self.limits.sweep_ms, self._check_signed_in)


class Connection:
    """One socket, whatever it is for: between its parser, its session and its watcher."""

    def __init__(self, edge: Edge, session: Session, transport: asyncio.Transport) -> None:
        self.edge = edge
        self.session = session
        self.watcher = Watcher(transport, edge.gate, self.fresh)
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport = transport

    def begin(self) -> None:
        """Say hello. Called once, after the upgrade, before anything is received."""

    def leave(self) -> None:
        """The connection is gone."""

    def fresh(self) -> bytes:
        return b""

    def resync(self) -> None:
        self.watcher.send(self.fresh())

    def ask(self, ref: object, command: Command) -> None:
        raise AssertionError("a session without a desk lets no command through")

    def recognised(self, before: Identity | None, now: Identity) -> None:
        """The session has an identity, or another one than before."""

    def text(self, payload: bytes) -> None:
        if self.watcher.closed:
            return
        try:
            self.perform(self.session.receive(payload, self.edge.clock.now()))
        except Exception as error:  # noqa: BLE001 - ends the socket, is logged
            self.fault(error)

    def control(self, kind: WSMsgType, payload: Any) -> None:
        if kind is WSMsgType.CLOSE:
            self.end(payload or CloseCode.DONE, "")
            self._transport.close()
        elif not self.watcher.closed:
            try:
                self._control(kind, payload)
            except Exception as error:  # noqa: BLE001 - ends the socket, is logged
                self.fault(error)

    def broken(self, code: int, reason: str) -> None:
        self.end(code, reason)

    def perform(self, actions: Any) -> None:
        for action in actions:
            match action:
                case Ask(ref, command):
                    self.ask(ref, command)
                case Send(frame):
                    self.watcher.send(frame)
                case Resync():
                    self.resync()
                case Authenticate(ref, token):
                    self._authenticate(ref, token)
                case Close(code, reason):
                    self.end(code, reason)

    def end(self, code: int, reason: str) -> None:
        self.session.closed = True
        self.watcher.close(code, reason)

    def fault(self, error: Exception) -> None:
        """A fault of ours ends this socket, neither the parser above nor the actor that answers."""
        _log.error("socket_fault", exc_info=error)
        self.end(CloseCode.FAULT, "internal error")

    def abort(self) -> None:
        self._transport.abort()

    def _control(self, kind: WSMsgType, payload: Any) -> None:
        self.perform(self.session.noise(self.edge.clock.now()))
        if kind is WSMsgType.PING:
            self.watcher.send(frames.pong_control(bytes(payload)))
        elif kind is WSMsgType.BINARY:
            self.perform(self.session.close(CloseCode.BAD_FRAME, "frames are text"))

    def _authenticate(self, ref: object, token: str) -> None:
        before = self.session.identity
        try:
            identity = self.edge.tokens.verify_token(token)
        except Problem as problem:
            self.perform(self.session.turned_away(ref, problem))
            return
        if before is not None:
            self.edge.signed_out(self, before)
        self.edge.signed_in(self, identity)
        self.perform(self.session.signed_in(ref, identity))
        self.recognised(before, identity)


class ShowtimeConnection(Connection):
    """Watches one showtime and holds seats in it."""

    def __init__(
        self, edge: Edge, session: Session, transport: asyncio.Transport, showtime_id: str,
        since: int | None, epoch: int | None,
    ) -> None:  # fmt: skip
        super().__init__(edge, session, transport)
        self._showtime_id = showtime_id
        self._since = since
        self._epoch = epoch

    def begin(self) -> None:
        actor = self.edge.showtimes.resident(self._showtime_id)
        if actor is None:
            self.end(CloseCode.RESTARTING, "the showtime is being moved")
            return
        edge = self.edge
        self.watcher.send(frames.hello(actor.snapshot, edge.limits.heartbeat_ms, edge.clock.now()))
        edge.hub.join(self.watcher, actor, since=self._since, epoch=self._epoch)

    def leave(self) -> None:
        if self.session.identity is not None:
            self.edge.hub.disown(self.watcher, self._showtime_id, self.session.identity.account_id)
        self.edge.hub.leave(self.watcher, self._showtime_id)

    def fresh(self) -> bytes:
        identity = self.session.identity
        return self.edge.hub.fresh(self._showtime_id, identity.account_id if identity else None)

    def resync(self) -> None:
        self.edge.hub.resync(self.watcher, self._showtime_id)

    def recognised(self, before: Identity | None, now: Identity) -> None:
        if before is not None:
            self.edge.hub.disown(self.watcher, self._showtime_id, before.account_id)
        self.edge.hub.recognise(self.watcher, self._showtime_id, now.account_id)

    def ask(self, ref: object, command: Command) -> None:
        answer = partial(self._answer, ref, command)
        actor = self.edge.showtimes.resident(self._showtime_id)
        try:
            if actor is None:
                raise Draining("asleep")
            actor.post(command, answer)
        except Draining:
            self.edge.spawn(self._wake_and_ask(command, answer))
        except WorldFailure as failure:
            answer(failure)

    async def _wake_and_ask(self, command: Command, answer: Callable[[Reply | BaseException], None]) -> None:
        try:
            actor = await self.edge.showtimes.actor(self._showtime_id)
            actor.post(command, answer)
        except (WorldFailure, UnknownShowtime) as failure:
            answer(failure)

    def _answer(self, ref: object, command: Command, reply: Reply | BaseException) -> None:
        """Write what became of a command. Called from the actor's turn, so it must not raise."""
        if self.watcher.closed:
            return
        try:
            self.watcher.send(_result(ref, command, reply))
        except Exception as error:  # noqa: BLE001 - ends the socket, is logged
            self.fault(error)
        if isinstance(reply, UnknownShowtime):
            self.end(CloseCode.GONE, "this showtime does not exist any more")


class LobbyConnection(Connection):
    """Free seats of all showtimes."""

    def begin(self) -> None:
        self.edge.lobby.join(self.watcher)

    def leave(self) -> None:
        self.edge.lobby.leave(self.watcher)

    def fresh(self) -> bytes:
        return self.edge.lobby.fresh()


class Since(Query):
    """The last version seen, and the epoch it was seen in: what came after is sent instead of a snapshot."""

    since: Annotated[int, Field(ge=0, lt=10**15)] | None = None
    epoch: Annotated[int, Field(ge=0, lt=10**15)] | None = None


async def showtime_socket(request: web.Request) -> web.StreamResponse:
    edge = request.app[LIVE]
    edge.admit(request)
    showtime_id = path_id(request, "showtime_id", "showtime")
    query = read_query(request, Since)
    actor = await edge.showtimes.actor(showtime_id)
    number = actor.snapshot.number
    desk = Desk(showtime_id, number, lambda: mint_in(number, edge.clock.now()), request[REQUEST_ID])
    session = Session(edge.limits, desk, edge.config.rate_limit)
    return await converse(
        request, lambda transport: ShowtimeConnection(edge, session, transport, showtime_id, query.since, query.epoch)
    )


async def lobby_socket(request: web.Request) -> web.StreamResponse:
    edge = request.app[LIVE]
    edge.admit(request)
    await edge.lobby.look_up()
    session = Session(edge.limits, None, edge.config.rate_limit)
    return await converse(request, lambda transport: LobbyConnection(edge, session, transport))


async def live_edge(app: web.Application) -> AsyncIterator[None]:
    """Opens after the showtimes and before the first request; sockets are sent away when the server shuts down."""
    clock, hub, pool = app[CLOCK], app[HUB], app[POOL]
    lobby = Lobby(clock, hub.limits, lambda: programme.free_seats(pool, clock.now()))
    edge = app[LIVE] = Edge(app[REGISTRY], hub, lobby, app[TOKENS], clock, app[CONFIG])
    hub.on_watched = app[REGISTRY].watch
    hub.on_free = lobby.note
    app[TELEMETRY].watch_sockets(lambda: len(edge.connections), lambda: edge.gate.stale)
    forget = app[TOKENS].on_revoked(edge.revoked)
    hub.start()
    edge.start()
    yield
    forget()
    edge.stop()
    hub.stop()


async def send_everybody_away(app: web.Application) -> None:
    """For `app.on_shutdown`."""
    await app[LIVE].drain()


REFUSED: Final = ("upgrade_required", "forbidden", "rate_limited")
"""Why a socket is not opened."""

OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/showtimes/{showtime_id}/live", showtime_socket, "WebSocket: a seat map as it changes.",
        access=PUBLIC, answers={101: None}, query=Since, problems=REFUSED,
    ),
    Operation(
        "GET", "/api/v1/live", lobby_socket, "WebSocket: how many seats are free, over all showtimes.",
        access=PUBLIC, answers={101: None}, problems=REFUSED,
    ),
)  # fmt: skip


async def converse(request: web.Request, connect: Callable[[asyncio.Transport], Connection]) -> web.StreamResponse:
    """From the upgrade to the end of the connection."""
    edge = request.app[LIVE]
    address = edge.admit(request)
    if edge.draining:
        raise Draining("stopping")
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("gone before the upgrade")
    # A socket that does not read must be noticed by us, not absorbed by megabytes of kernel memory.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, edge.limits.kernel_backlog_bytes)
    connection = connect(transport)
    response = LiveResponse(connection, edge.limits.frame_bytes_max)
    response.headers.update({hdrs.SERVER: ANSWER_HEADERS[hdrs.SERVER], X_REQUEST_ID: request[REQUEST_ID]})
    edge.opened(connection, address)
    try:
        await response.prepare(request)
        if request.transport is None or transport.is_closing():
            return response
        # No await from here until messages are let in: hello comes first, and a closed socket is noticed above.
        connection.begin()
        response.open(request)
        await response.ended()
    finally:
        connection.session.closed = True
        connection.watcher.retire()
        connection.leave()
        edge.closed(connection, address)
        connection.gone.set_result(None)
    return response


def _result(ref: object, command: Command, reply: Reply | BaseException) -> bytes:
    if not isinstance(reply, Reply):
        assert isinstance(reply, Exception), reply
        problem = explain(reply)
        return frames.refused(ref, problem.status, {"code": problem.code, "detail": problem.detail})
    status, body = wire.answer(reply, command)
    if "code" in body:
        return frames.refused(ref, status, body)
    if "seq" in body:
        return frames.done(ref, body)
    return frames.done(ref, body, reply.records[-1].version if reply.records else reply.state.version)


def _site(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port, as two URLs of one site share them; None for what is no web address (`null`)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in _PORTS:
        return None
    return parts.scheme, host, port or _PORTS[parts.scheme]
