"""The load client reads answers right, gaps are noticed, and a goal that is missed is said to be missed."""

import asyncio
import json
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bench import client, protocol, scripts
from bench.client import Line, Tally
from bench.gauges import Usage
from bench.report import Report, Round, middle, ratio
from bench.watchers import _Watch, _Watcher
from server.live.frames import frame

HELD = b'HTTP/1.1 201 Created\r\nContent-Length: 53\r\n\r\n{"hold_id":"01a1fcec-9f40-729a-952c-a004efaf00a2" , }'


def test_an_answer_is_read_when_it_is_whole_and_not_before() -> None:
    assert [protocol.response(HELD[:size]) for size in (0, 20, 60, len(HELD) - 1)] == [None] * 4
    assert protocol.response(HELD + b"HTTP") == (201, len(HELD) - 53, len(HELD))


def test_an_answer_without_a_length_ends_with_its_head() -> None:
    assert protocol.response(b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n")[0] == 204  # type: ignore[index]


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536])
async def test_frames_of_every_length_are_understood_by_the_server_and_by_us(size: int) -> None:
    told: list[str] = []

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        told.append(await socket.receive_str())
        await socket.send_str(told[0])
        await socket.close()
        return socket

    async with _served(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(protocol.upgrade("/") + protocol.text(b"a" * size))
        await reader.readuntil(protocol.HEAD_END)
        received = b""
        while not any(kind == 8 for kind, _, _ in protocol.frames(received)):
            received += (more := await reader.read(65_536))
            assert more, received
        writer.close()  # the server waits for this, or for an answer to its goodbye
        await writer.wait_closed()
    kinds = [(kind, end - begin) for kind, begin, end in protocol.frames(received)]
    assert told == ["a" * size]
    assert kinds[0] == (1, size)
    assert list(protocol.frames(received[: size - 1])) == []


def test_the_span_of_a_frame_is_what_the_server_wrote_into_it() -> None:
    def payload(body: dict[str, object]) -> bytes:
        whole = frame(body)
        ((_, begin, end),) = protocol.frames(whole)
        return whole[begin:end]

    assert protocol.span(payload({"type": "delta", "epoch": 3, "from": 7, "to": 19, "held": ["A1"]})) == (7, 19)
    assert protocol.span(payload({"type": "showtime", "epoch": 3, "seq": 20, "status": "running"})) == (20, 20)
    assert protocol.span(payload({"type": "tick", "epoch": 3, "seq": 20})) is None
    assert protocol.snapshot_version(payload({"type": "snapshot", "epoch": 1, "seq": 12})) == 12


def test_a_hold_over_rest_is_remembered_by_its_id() -> None:
    acks = scripts.Acks()
    script = scripts.RestHolds(iter([("s", 0, "A1")]), ["token"], acks)
    line = _unconnected()
    asked = script.ask(line)
    assert asked is not None
    assert asked.endswith(b'Content-Length: 16\r\n\r\n{"seats":["A1"]}')
    assert script.ask(line) is None
    assert script.hear(line, HELD[:70]) == (0, 0)
    assert script.hear(line, HELD) == (201, len(HELD))
    assert acks.holds == [b"01a1fcec-9f40-729a-952c-a004efaf00a2"]


def test_a_socket_that_holds_lets_the_same_hold_go_next() -> None:
    acks = scripts.Acks()
    script, line = scripts.SocketCycle(acks), _unconnected()
    line.memo, line.asked_at = [scripts.holding("A1"), b""], 2.5
    assert script.ask(line) == scripts.holding("A1")
    hold_id = "01a1fcec-9f40-729a-952c-a004efaf00a2"
    noise = frame({"type": "delta", "epoch": 1, "from": 4, "to": 4})
    result = frame({"type": "result", "id": 1, "ok": True, "hold_id": hold_id, "seq": 4})
    assert script.hear(line, noise) == (0, len(noise))
    assert script.hear(line, result + noise[:5]) == (201, len(result))
    assert hold_id.encode() in (script.ask(line) or b"")
    assert acks.asked == {4: 2.5}


def test_a_refusal_over_the_socket_has_its_status() -> None:
    refused = frame({"type": "result", "id": 1, "ok": False, "status": 409, "code": "seats_unavailable"})
    assert scripts.SocketHolds(scripts.Acks()).hear(_unconnected(), refused) == (409, len(refused))


def test_the_answer_to_signing_in_is_no_answer_to_a_hold() -> None:
    welcome = frame({"type": "result", "id": 0, "ok": True, "user": {}})
    assert scripts.SocketHolds(scripts.Acks()).hear(_unconnected(), welcome) == (0, len(welcome))


def test_a_missing_version_is_counted_as_a_gap() -> None:
    watch = _Watch(0, "/", 1)
    near, far = _pair()
    watcher = _Watcher(near)
    watcher.upgraded = True
    watch._watchers[near.fileno()] = watcher
    watch._poll.register(near, select.EPOLLIN)
    far.send(frame({"type": "snapshot", "epoch": 1, "seq": 3}))
    watch.listen(1)
    for since, until in ((4, 6), (7, 7), (9, 9)):
        far.send(frame({"type": "delta", "epoch": 1, "from": since, "to": until}))
        watch.listen(1)
    assert (watch.seen.frames, watch.seen.changes, watch.seen.gaps, watch.versions) == (2, 4, 1, (9,))
    near.close()
    far.close()


async def test_the_closed_loop_asks_again_and_counts_what_it_hears() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=HELD[HELD.index(b"{") :], status=201)

    async with _served(answer) as port:
        places = iter([("s", index, f"A{index}") for index in range(50)])
        acks = scripts.Acks()

        def load() -> Tally:
            lines = client.lines(port, 4)
            tally = client.closed_loop(scripts.RestHolds(places, ["t"], acks), lines, 5, in_flight=4)
            client.close(lines)
            return tally

        tally = await asyncio.to_thread(load)
    assert tally.statuses == {201: 50}
    assert len(acks.holds) == len(tally.latencies) == 50
    assert tally.unanswered == 0
    assert 0 < tally.percentile(0.5) <= tally.percentile(0.99)


def test_ratios_are_taken_round_by_round() -> None:
    ours, theirs = [_round(100), _round(600), _round(300)], [_round(20), _round(100), _round(30)]
    assert ratio(ours, theirs) == pytest.approx(6)
    assert middle(ours).tally.rate == pytest.approx(300)


def test_a_missed_goal_is_written_down_as_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.add("holds", "REST", 1_000, "holds/s", **_round(100).facts())
    report.at_least("times row locks", 5.5, 5)
    report.at_most("p99, ms", 25.5, 25)
    report.write(tmp_path / "results.json")
    written = json.loads((tmp_path / "results.json").read_text())
    assert [goal["met"] for goal in written["goals"]] == [True, False]
    assert not written["met"]
    assert not report.met
    assert "FAIL  p99, ms" in report.table()
    assert "pass  times row locks" in capsys.readouterr().out


def _round(rate: int) -> Round:
    tally = Tally(asked=rate, seconds=1.0, client_cpu=0.01)
    tally.statuses[201] = rate
    tally.latencies.extend([0.001] * rate)
    return Round(tally, Usage(1.0, 1.0), Usage(1.5, 1.2))


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def _unconnected() -> Line:
    unused: Any = None
    return Line(unused)


@asynccontextmanager
async def _served(handler: Any) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    finally:
        await runner.cleanup()
