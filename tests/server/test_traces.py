"""Traces: a command followed through the house by what a collector receives, and nothing where nobody asks."""

import asyncio
import io
import json
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import structlog

from actors.ids import mint_in
from actors.seatmap.commands import ActorKind, Cause, Expire, HoldSeats
from actors.showtime import ShowtimeActor
from persistence.journal import PgJournal
from server.app import SHUTDOWN_SECONDS
from server.express import Express
from server.keys import CLOCK, EXPRESS, JOURNAL, LIVE, POOL, REGISTRY
from server.telemetry import configure_logging
from server.traces.commands import TracedActor
from server.traces.commits import TracedJournal
from server.traces.outbox import FLUSH_SECONDS_MAX
from tests.server.collector import Collector, Seen, open_collector
from tests.server.house import House, open_house
from tests.server.live.test_sockets import until, watch
from tests.server.rest.cinema import expect, fresh_key, open_counter
from tests.server.test_program import DRAIN_SECONDS_MAX, address_of, finish, folder, program

__all__ = ["folder"]

HOLDS = "POST /api/v1/showtimes/{showtime_id}/holds"
QUERIES = ("SELECT", "INSERT", "UPDATE", "WITH", "DELETE")
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with open_collector() as collector:
        yield collector


def is_inside(inner: Seen, outer: Seen) -> bool:
    return outer.since <= inner.since <= inner.until <= outer.until


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
async def test_a_hold_over_rest_is_one_trace_from_its_request_to_its_commit(
    database_url: str, collector: Collector, content_type: str
) -> None:
    """On the short way and on the ordinary one."""
    async with open_house(database_url, otlp_url=f"{collector.url}/v1/traces") as house:
        counter = await open_counter(house)
        ana = counter.person()
        answer = await house.post(
            f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1", "A2"]}, token=ana.token,
            headers={"X-Request-Id": "the-one", "Content-Type": content_type},
        )  # fmt: skip
        await expect(answer, 201)
    request = collector.one(HOLDS)
    assert request.parent == ""
    assert request.told == {
        "http.request.method": "POST",
        "http.route": "/api/v1/showtimes/{showtime_id}/holds",
        "http.response.status_code": 201,
        "marquee.request_id": "the-one",
    }
    mailbox, turn = (span for span in collector.below(request) if span.name not in QUERIES)
    assert (mailbox.name, turn.name) == ("mailbox", "turn HoldSeats")
    assert turn.told == {"marquee.showtime_id": counter.showtime_id, "marquee.commands": 1, "marquee.records": 1}
    (append,) = collector.below(turn)
    (commit,) = collector.below(append)
    assert (append.name, commit.name) == ("journal append", "journal commit")
    assert commit.told == {"db.system.name": "postgresql", "marquee.appends": 1, "marquee.records": 1}
    assert commit.links == (append.id,)
    assert append.links == (commit.id,)
    for inner, outer in ((mailbox, request), (turn, request), (append, turn), (commit, append)):
        assert is_inside(inner, outer), (inner, outer)
    assert mailbox.until <= turn.since
    assert collector.resources[0]["service.name"] == "marquee"


async def test_a_hold_over_a_socket_is_a_trace_that_refers_to_the_upgrade(
    database_url: str, collector: Collector
) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        watching = await watch(house, counter.showtime_id, headers={"X-Request-Id": "my-socket"})
        await watching.sign_in(counter.person())
        held = await watching.ask("hold", seats=["B1"])
        taken = await watching.ask("hold", seats=["B1", "B2"])
        assert (held["ok"], taken["code"]) == (True, "seats_unavailable")
        await watching.socket.close()
    upgrade = collector.one("GET /api/v1/showtimes/{showtime_id}/live")
    assert upgrade.told["http.response.status_code"] == 101
    first, second = sorted(collector.named("socket HoldSeats"), key=lambda span: span.since)
    assert upgrade.until <= first.since, "a socket's span does not last as long as the socket"
    for root in (first, second):
        assert (root.parent, root.links, root.told["marquee.request_id"]) == ("", (upgrade.id,), "my-socket")
        assert collector.names_below(root) == ["mailbox", "turn HoldSeats"]
    assert len({upgrade.trace, first.trace, second.trace}) == 3
    (append,) = collector.below(collector.below(first)[1])
    assert collector.names_below(append) == ["journal commit"]
    refusal = collector.below(second)[1]
    assert collector.below(refusal) == []
    assert (second.told["marquee.refusal"], refusal.told["marquee.refusal"]) == ("seats_unavailable",) * 2


async def test_a_refused_hold_is_followed_too_and_is_no_fault(database_url: str, collector: Collector) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        await counter.person().hold(counter.showtime_id, "A1")
        path, headers = f"/showtimes/{counter.showtime_id}/holds", {"Idempotency-Key": fresh_key()}
        answer = await house.post(path, {"seats": ["A1"]}, token=counter.person().token, headers=headers)
        await expect(answer, 409)
    (request,) = (span for span in collector.named(HOLDS) if span.told["http.response.status_code"] == 409)
    turn = collector.below(request)[-1]
    assert turn.told["marquee.refusal"] == "seats_unavailable"
    assert not request.failed
    assert not turn.failed
    assert collector.names_below(turn) == ["journal refuse"], "a refusal under a key is kept before it is answered"


async def test_one_commit_is_linked_to_everything_it_carried(database_url: str, collector: Collector) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        people = [counter.person() for _ in range(40)]
        seats = [f"{row}{number}" for row in "ABCD" for number in range(1, 11)]
        await asyncio.gather(
            *(who.hold(counter.showtime_id, seat) for who, seat in zip(people, seats, strict=True))
        )  # fmt: skip
    appends = collector.named("journal append")
    commits = {commit.id: commit for commit in collector.named("journal commit")}
    carried = [append for append in appends if append.told["marquee.records"] > 1]
    assert carried, "forty holds at once share turns"
    for append in appends:
        (commit_id,) = append.links
        assert append.id in commits[commit_id].links
    assert {commit.parent for commit in commits.values()} <= {append.id for append in appends}
    assert sum(commit.told["marquee.records"] for commit in commits.values()) >= 40


@pytest.mark.parametrize(("flags", "ratio", "kept"), [("01", 1.0, True), ("00", 1.0, False), ("01", 0.0, False)])
async def test_a_callers_trace_is_continued_but_kept_only_as_the_operator_wishes(
    database_url: str, collector: Collector, flags: str, ratio: float, kept: bool
) -> None:
    async with open_house(database_url, otlp_url=collector.url, trace_ratio=ratio) as house:
        counter = await open_counter(house)
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-{flags}", "tracestate": "shop=secret", "baggage": "who=secret"}
        path = f"/showtimes/{counter.showtime_id}/holds"
        await expect(await house.post(path, {"seats": ["A1"]}, token=counter.person().token, headers=headers), 201)
    theirs = [span for span in collector.spans if span.trace == TRACE]
    assert bool(theirs) is kept
    assert bool(collector.named("turn HoldSeats")) is kept
    if kept:
        assert collector.one(HOLDS).parent == CALLER
        assert {"mailbox", "turn HoldSeats", "journal append", "journal commit"} <= {span.name for span in theirs}
        assert b"secret" not in collector.raw


@pytest.mark.parametrize("said", ["", "x", "00-0-0-01", f"00-{'0' * 32}-{CALLER}-01", f"ff-{TRACE}-{CALLER}-01", "é"])
async def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(
    database_url: str, collector: Collector, said: str
) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        assert (await house.get("/movies", headers={"traceparent": said})).status == 200
    request = collector.one("GET /api/v1/movies")
    assert request.parent == ""
    assert request.trace != TRACE


async def test_queries_of_a_request_are_seen_with_their_text_and_without_their_values(
    database_url: str, collector: Collector
) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        await house.member(email="zaphod@example.com", password="correct horse battery", display_name="Zaphod P")
    request = collector.one("POST /api/v1/auth/register")
    queries = [span for span in collector.below(request) if "db.query.text" in span.told]
    assert any("INSERT INTO account" in query.told["db.query.text"] for query in queries)
    for query in queries:
        assert query.name == query.told["db.operation.name"]
        assert is_inside(query, request)
    assert not [span for span in collector.spans if span.parent == "" and "db.query.text" in span.told]


async def test_nothing_secret_or_personal_reaches_the_collector(database_url: str, collector: Collector) -> None:
    secrets = ["zaphod@example.com", "horse battery", "Zaphod Privatus", "+919812345678", "q-secret", "agent-secret"]
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        body = await house.member(
            email=secrets[0], password="correct horse battery", display_name=secrets[2], phone=secrets[3]
        )
        token = body["access_token"]
        secrets += [token, body["refresh_token"], counter.house.client.host]
        again = {"email": secrets[0], "password": "correct horse battery", "display_name": secrets[2]}
        assert (await house.post("/auth/register", again)).status == 409
        await house.post("/auth/refresh", {"refresh_token": body["refresh_token"]})
        headers = {"User-Agent": "agent-secret"}
        await house.get("/movies", params={"q": "q-secret", "token": token}, headers=headers)
        await house.get("/nowhere/q-secret")
        watching = await watch(house, counter.showtime_id)
        await watching.ask("auth", token=token)
        await watching.ask("hold", seats=["C1"])
        await watching.socket.close()
    assert collector.spans
    for secret in secrets:
        assert secret.encode() not in collector.raw, secret


async def test_a_lost_database_is_told_by_its_kind_alone(database_url: str, collector: Collector) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        path = f"/showtimes/{counter.showtime_id}/holds"
        await house.app[JOURNAL].close()
        assert (await house.post(path, {"seats": ["A1"]}, token=counter.person().token)).status == 503
        await house.app[POOL].close()
        assert (await house.post("/auth/login", {"email": "a@example.com", "password": "wrong words"})).status >= 500
    request = collector.one(HOLDS)
    turn = collector.below(request)[-1]
    append = collector.one("journal append")
    assert (request.failed, request.told["error.type"]) == (True, "503")
    assert (turn.failed, turn.told["error.type"]) == (True, "JournalDown")
    assert (append.failed, append.told["error.type"]) == (True, "JournalDown")
    assert b"not connected" not in collector.raw


async def test_probes_leave_no_traces(database_url: str, collector: Collector) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        for path in ("/health", "/ready", "/metrics", "/api/v1/health", "/api/v1/ready", "/api/v1/metrics"):
            assert (await house.client.get(path)).status == 200
        await house.get("/nowhere")
    assert [span.name for span in collector.spans if span.parent == ""] == ["GET"]


async def test_what_nobody_asked_for_begins_no_request(database_url: str, collector: Collector) -> None:
    """An actor that a request woke does not go on living in that request's trace."""
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        held = await counter.person().hold(counter.showtime_id, "A1")
        assert held["hold_id"]
        await counter.settle()
        await house.app[REGISTRY].renew(counter.showtime_id)
        await counter.settle()
    roots = {span.name for span in collector.spans if span.parent == ""}
    assert roots == {HOLDS, "command Expire"}
    for settled in collector.named("command Expire"):
        assert collector.names_below(settled) == ["mailbox", "turn Expire"]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything is logged, as JSON, to here."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers.clear()  # or they would be closed
    configure_logging("info", "json")
    log = io.StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(log)
    yield log
    root.handlers[:], root.level = before
    structlog.reset_defaults()


@pytest.mark.parametrize("ratio", [1.0, 0.0])
async def test_log_lines_of_a_request_carry_its_trace(
    database_url: str, collector: Collector, written: io.StringIO, ratio: float
) -> None:
    """Also on the short way, and also when the trace is not kept."""
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    async with open_house(database_url, otlp_url=collector.url, trace_ratio=ratio) as house:
        counter = await open_counter(house)
        path, token = f"/showtimes/{counter.showtime_id}/holds", counter.person().token
        await house.app[JOURNAL].close()
        assert (await house.post(path, {"seats": ["A1"]}, token=token, headers=headers)).status == 503
        await house.app[POOL].close()
        said = {"email": "a@example.com", "password": "wrong words"}
        assert (await house.post("/auth/login", said, headers=headers)).status >= 500
        logging.getLogger("somebody").warning("outside of any request")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    refused = {line["path"]: line.get("trace_id") for line in lines if "path" in line}
    assert refused == {f"/api/v1{path}": TRACE if ratio else None, "/api/v1/auth/login": TRACE}
    assert all("trace_id" not in line for line in lines if line["event"] == "outside of any request")


async def test_a_full_mailbox_is_seen_as_such(database_url: str, collector: Collector) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        actor = house.app[REGISTRY].resident(counter.showtime_id)
        assert actor is not None
        actor.mailbox._messages_max = 0
        answer = await house.post(
            f"/showtimes/{counter.showtime_id}/holds", {"seats": ["A1"]}, token=counter.person().token
        )
        assert answer.status == 503
    request = collector.one(HOLDS)
    (mailbox,) = collector.below(request)
    assert (mailbox.name, mailbox.failed, mailbox.told["error.type"]) == ("mailbox", True, "Overloaded")
    assert request.failed


async def test_commands_of_one_turn_wait_for_one_append_and_each_for_what_keeps_its_own_answer(
    database_url: str, collector: Collector
) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        actor = await house.app[REGISTRY].actor(counter.showtime_id)
        told: list[object] = []
        for who, retryable in (("ana", False), ("bob", True)):  # nothing is awaited: both are in one turn
            hold_id = mint_in(actor.snapshot.number, house.app[CLOCK].now())
            cause = Cause(hold_id, ActorKind.CUSTOMER, who, who, retryable)
            actor.post(HoldSeats(cause, hold_id, ("A1",)), told.append)
        await until(lambda: len(told) == 2)
    ana, bob = sorted(collector.named("command HoldSeats"), key=lambda span: span.told["marquee.request_id"])
    hers, his = collector.below(ana)[1], collector.below(bob)[1]
    assert (hers.told["marquee.commands"], his.told["marquee.commands"]) == (2, 2)
    assert collector.names_below(hers) == ["journal append"]
    assert collector.names_below(his) == ["journal append", "journal refuse"]
    assert len(collector.one("journal commit").links) == 2
    assert his.told["marquee.refusal"] == "seats_unavailable"


async def test_a_socket_that_is_gone_is_not_remembered(database_url: str, collector: Collector) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        watching = await watch(house, counter.showtime_id, headers={"X-Request-Id": "gone"})
        await watching.next("hello")
        await watching.socket.close()
        await until(lambda: not house.app[LIVE].connections)
        expire = Expire(Cause("", ActorKind.SYSTEM, "test", "gone"))
        await house.app[REGISTRY].ask(counter.showtime_id, expire)
    assert [span.told["marquee.request_id"] for span in collector.named("command Expire")].count("gone") == 1
    assert not collector.named("socket Expire")


async def test_what_a_turn_does_belongs_to_no_request(database_url: str, collector: Collector) -> None:
    """A turn is begun by whoever rings first; its queries are not those of that request, which may not even wait."""
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        await counter.person().hold(counter.showtime_id, "A1")
        for _ in range(3):
            headers = {"Idempotency-Key": fresh_key()}
            path = f"/showtimes/{counter.showtime_id}/holds"
            await expect(await house.post(path, {"seats": ["A1"]}, token=counter.person().token, headers=headers), 409)
    refusals = [span for span in collector.named(HOLDS) if span.told["http.response.status_code"] == 409]
    assert len(refusals) == 3
    for request in refusals:
        assert collector.names_below(request) == ["mailbox", "turn HoldSeats"]


@pytest.mark.parametrize("answers", [False, True])
async def test_a_collector_that_is_away_or_hangs_delays_nobody(database_url: str, answers: bool) -> None:
    guests: list[socket.socket] = []
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nobody.settimeout(0)
        if answers:
            nobody.listen()  # and that is all: whoever connects waits for ever
        async with open_house(database_url, otlp_url="http://{}:{}".format(*nobody.getsockname())) as house:
            counter = await open_counter(house)
            await counter.person().hold(counter.showtime_id, "A1")
            if answers:
                guests.append((await asyncio.get_running_loop().sock_accept(nobody))[0])
            await counter.person().hold(counter.showtime_id, "B1")
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < FLUSH_SECONDS_MAX + SHUTDOWN_SECONDS
    for guest in guests:
        guest.close()


async def test_what_was_seen_is_sent_before_the_program_ends(
    database_url: str, folder: Path, collector: Collector
) -> None:
    settings = {"port": "0", "data_dir": str(folder), "database_url": database_url, "demo": "off"}
    traced = {"otlp_url": collector.url, "otlp_headers": "x-house=marquee,authorization=Bearer%20abc"}
    async with program("serve", **settings, **traced) as process:
        address = await address_of(process)
        async with aiohttp.ClientSession() as client, client.get(f"{address}/api/v1/movies") as answer:
            assert answer.status == 200
        process.terminate()
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            assert await process.wait() == 0
    assert collector.one("GET /api/v1/movies").told["http.response.status_code"] == 200
    assert (collector.headers[0]["x-house"], collector.headers[0]["Authorization"]) == ("marquee", "Bearer abc")


async def test_a_collector_without_the_extra_is_a_wrong_setting(folder: Path) -> None:
    status, _, complaints = await finish("serve", data_dir=str(folder), otlp_url="collector:4318", trace_ratio="2")
    assert status == 2
    assert "MARQUEE_OTLP_URL must look like http://collector:4318" in complaints
    assert "MARQUEE_TRACE_RATIO" in complaints


async def test_without_a_collector_the_house_is_made_of_plain_parts(database_url: str) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        await counter.person().hold(counter.showtime_id, "A1")
        actor = house.app[REGISTRY].resident(counter.showtime_id)
        assert type(actor) is ShowtimeActor
        assert type(house.app[JOURNAL]) is PgJournal
        async with house.app[POOL].acquire() as connection:
            assert type(connection._con) is asyncpg.Connection
        assert not house.app.on_response_prepare
        assert house.app[EXPRESS] is Express
        assert wrappers(house) == {"middleware.py"}


async def test_with_a_collector_every_handler_and_part_is_traced(database_url: str, collector: Collector) -> None:
    async with open_house(database_url, otlp_url=collector.url) as house:
        counter = await open_counter(house)
        assert type(house.app[REGISTRY].resident(counter.showtime_id)) is TracedActor
        assert type(house.app[JOURNAL]) is TracedJournal
        assert wrappers(house) == {"requests.py"}


def wrappers(house: House) -> set[str]:
    """In which files the functions lie that aiohttp calls for a request."""
    handlers: list[Any] = [route.handler for route in house.app.router.routes()]
    return {Path(handler.__code__.co_filename).name for handler in handlers}


def test_without_a_collector_nothing_of_it_is_imported(tmp_path: Path) -> None:
    serving = """
import asyncio, sys
from server.app import build_app
from server.config import Config
async def main():
    build_app(Config(jwt_secret="x" * 40, data_dir=sys.argv[1]), "postgresql://nobody", password_cost=4)
asyncio.run(main())
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry", "server.traces", "requests"))))
"""
    done = subprocess.run([sys.executable, "-c", serving, str(tmp_path)], capture_output=True, text=True, timeout=90)
    assert done.stdout.strip() == "[]", done.stderr
