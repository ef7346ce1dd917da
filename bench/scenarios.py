"""What is measured. Contenders take turns in every round, so that both meet the same machine."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Final

import asyncpg

from bench import catalogue as films
from bench import client, gauges, logins, protocol, scripts, watchers
from bench.audit import audit
from bench.client import Line, Script, Tally
from bench.ground import Ground, Server
from bench.protocol import request
from bench.report import Report, Round, best, middle, ratio
from bench.sales import Sales
from bench.scripts import Acks, RestCycle, RestHolds, SocketCycle, SocketHolds
from bench.seed import guests, one_by_one, round_robin
from bench.watchers import Crowd, Seen

LINES: Final = 64
BUYERS: Final = (64, 256)
"""How many buy at once: few, and a crowd."""
QUIET_SECONDS: Final = 0.6
LOG_EVENTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Scale:
    """How long and how large: the real thing, or a pass of a minute that shows only that everything runs."""

    rounds: int
    seconds: float
    showtimes: int
    """For each round of holds over REST; the socket takes one and a half times as many."""
    watchers: int
    crowd: int
    idle: int
    log_events: int

    @property
    def needed(self) -> int:
        """Showtimes that a whole run uses up."""
        each_round = self.showtimes * 20 // 4 + LINES * 4 + 2
        return self.rounds * each_round + self.showtimes * 9 // 2 + 1_040


REAL: Final = Scale(3, 4.0, 200, 1_000, 5_000, 5_000, LOG_EVENTS)
SHORT: Final = Scale(1, 1.0, 40, 200, 400, 300, 10_000)


class Run:
    """What all scenarios of a run share."""

    def __init__(self, ground: Ground, scale: Scale, report: Report) -> None:
        self.ground = ground
        self.scale = scale
        self.report = report
        self.acks = Acks()
        self.guests = guests(400)

    @property
    def seats(self) -> tuple[str, ...]:
        return self.ground.cinema.seats

    def calibrate(self) -> None:
        self.report.calibrations.append(asyncio.run(gauges.calibrate(self.ground.dsn)))

    def warm(self, server: Server, showtimes: Sequence[str]) -> None:
        """Wake the showtimes."""
        for showtime in showtimes:
            client.fetch(server.port, request("GET", f"/api/v1/showtimes/{showtime}/seats?format=counts"))

    def rest_holds(self, server: Server, places: Iterator[scripts.Place], seconds: float, acks: Acks) -> Round:
        lines = client.lines(server.port, LINES)
        script = RestHolds(places, self.guests, acks)
        return measured(server, lines, lambda: client.closed_loop(script, lines, seconds))

    def socket_holds(self, server: Server, showtimes: Sequence[str], seats: Sequence[str], seconds: float) -> Round:
        lines = [scripts.signed_in_line(server.port, showtime, self.guests[0]) for showtime in showtimes]
        for line in lines:
            line.memo = scripts.fill(seats, self.guests)
        script = SocketHolds(self.acks)
        return measured(server, lines, lambda: client.closed_loop(script, lines, seconds))

    def cycles(self, server: Server, showtimes: Sequence[str]) -> Round:
        lines, script = self.cyclers(server, showtimes), SocketCycle(self.acks)
        return measured(server, lines, lambda: client.closed_loop(script, lines, self.scale.seconds))

    def cyclers(self, server: Server, showtimes: Sequence[str], first_seat: int = 0) -> list[Line]:
        """Signed-in sockets, each with a seat of its own to hold and to let go."""
        lines = []
        for index, showtime in enumerate(showtimes):
            line = scripts.signed_in_line(server.port, showtime, self.guests[index])
            line.memo = [scripts.holding(self.seats[first_seat + index]), b""]
            lines.append(line)
        return lines


def measured(server: Server, lines: Sequence[Line], work: Callable[[], Tally]) -> Round:
    before = server.usage()
    tally = work()
    after = server.usage()
    client.close(lines)
    return Round(tally, before, after)


def holds(run: Run) -> None:
    """New seats in many showtimes; the same over row locks; one showtime at a time until it is sold out."""
    ground, scale, report, seconds = run.ground, run.scale, run.report, run.scale.seconds
    rest, hot, live, rows = [], [], [], []
    row_showtimes = ground.take(scale.showtimes)
    ground.seed_rowlock(row_showtimes)
    row_places = round_robin(row_showtimes, run.seats)
    with ground.product() as product, ground.rowlock() as rowlock:
        for _ in range(scale.rounds):
            run.calibrate()
            rows.append(run.rest_holds(rowlock, row_places, seconds, Acks()))
            showtimes = ground.take(scale.showtimes)
            run.warm(product, showtimes)
            rest.append(run.rest_holds(product, round_robin(showtimes, run.seats), seconds, run.acks))
            showtimes = ground.take(scale.showtimes)
            run.warm(product, showtimes)
            hot.append(run.rest_holds(product, one_by_one(showtimes, run.seats), seconds, run.acks))
            showtimes = ground.take(scale.showtimes * 3 // 2)
            live.append(run.socket_holds(product, showtimes, run.seats, seconds))
    for name, rounds in (
        ("row locks, REST", rows), ("REST, many showtimes", rest), ("REST, one showtime until sold out", hot),
        ("socket, many showtimes", live),
    ):  # fmt: skip
        one = middle(rounds)
        report.add("holds", name, one.tally.rate, "holds/s", **one.facts())
    report.at_least("REST holds/s, times row locks", ratio(rest, rows), 5)
    report.at_least("socket holds/s, times row locks", ratio(live, rows), 12)
    report.at_least("REST: one hot showtime, part of many", ratio(hot, rest), 0.9)
    refused = sum(r.tally.answered - r.tally.done for r in (*rest, *hot, *live, *rows))
    report.at_most("holds of free seats that were refused", refused, 0)


def sales(run: Run) -> None:
    """Bookings and their confirmation, paid at the sandbox; the same over row locks. A sale is two requests.

    Each is judged by the number of buyers at once that serves it best. Row locks come first: for a while after ours the
    letters are still being written, which nobody else shall pay for.
    """
    ground, scale, report, seconds = run.ground, run.scale, run.report, run.scale.seconds
    ours: dict[int, list[Round]] = {buyers: [] for buyers in BUYERS}
    rows: dict[int, list[Round]] = {buyers: [] for buyers in BUYERS}
    sold = asked = 0
    row_showtimes = ground.take(scale.showtimes)
    ground.seed_rowlock(row_showtimes)
    row_places = round_robin(row_showtimes, run.seats)
    with ground.product() as product, ground.rowlock() as rowlock:
        for server, rounds in ((rowlock, rows), (product, ours)):
            for buyers in BUYERS * scale.rounds:
                places = row_places
                if server is product:
                    showtimes = ground.take(scale.showtimes // 4)
                    run.warm(product, showtimes)
                    places = round_robin(showtimes, run.seats)
                script, lines = Sales(places, run.guests), client.lines(server.port, buyers)
                rush = partial(client.closed_loop, script, lines, seconds, in_flight=buyers)
                rounds[buyers].append(one := measured(server, lines, rush))
                sold, asked = sold + script.sold, asked + one.tally.statuses[201]
    for name, rounds in (("row locks", rows), ("booking + confirmation", ours)):
        for buyers, some in rounds.items():
            one = middle(some)
            report.add("sales", f"{name}, {buyers} buyers", one.tally.rate / 2, "sales/s", **one.facts())
    report.at_least("sales/s, times row locks", ratio(best(ours.values()), best(rows.values())), 4)
    report.at_least("part of the bookings that were confirmed", sold / max(1, asked), 0.95)


def cycle_of_holds(run: Run) -> None:
    """Hold and release in turn: sockets in one showtime and in as many as there are sockets."""
    ground, scale = run.ground, run.scale
    many: list[Round] = []
    hot: list[Round] = []
    with ground.product() as product:
        for _ in range(scale.rounds):
            for rounds, showtimes in ((many, ground.take(LINES)), (hot, ground.take(1) * LINES)):
                run.warm(product, showtimes)
                rounds.append(run.cycles(product, showtimes))
    for name, rounds in (("socket, 64 showtimes", many), ("socket, one showtime", hot)):
        one = middle(rounds)
        run.report.add("cycle", name, one.tally.rate, "changes/s", **one.facts())
    run.report.at_least("socket: one hot showtime, part of many", ratio(hot, many), 0.9)


def storm(run: Run) -> None:
    """Everybody wants a showtime that is sold out: refusals, which need no commit."""
    ground, scale = run.ground, run.scale
    ours: list[Round] = []
    theirs: list[Round] = []
    showtimes = ground.take(1)
    ground.seed_rowlock(showtimes)
    with ground.product() as product, ground.rowlock() as rowlock:
        for server, acks in ((product, run.acks), (rowlock, Acks())):
            run.rest_holds(server, one_by_one(showtimes, run.seats), 30, acks)
        for _ in range(scale.rounds):
            for server, rounds in ((rowlock, theirs), (product, ours)):
                places = ((showtime, 350, seat) for showtime, _, seat in cycle(one_by_one(showtimes, run.seats)))
                rounds.append(run.rest_holds(server, places, scale.seconds / 2, Acks()))
    for name, rounds in (("row locks, REST", theirs), ("REST", ours)):
        one = middle(rounds)
        run.report.add("storm", name, one.tally.rate, "no's/s", **one.facts())
    run.report.at_least("refusals/s of a sold-out showtime, times row locks", ratio(ours, theirs), 5)


def latency(run: Run) -> None:
    """Open loop over REST: light load, then 4,000 holds a second."""
    ground, scale, report = run.ground, run.scale, run.report
    with ground.product() as product:
        for rate in (400, 4_000):
            showtimes = ground.take(scale.showtimes // 2)
            run.warm(product, showtimes)
            lines = client.lines(product.port, LINES * 2)
            script = RestHolds(round_robin(showtimes, run.seats), run.guests, run.acks)
            one = paced(product, lines, script, scale.seconds * 1.5, rate)
            report.add("latency", f"REST, {rate:,}/s open loop", one.tally.rate, "holds/s", **one.facts())
            report.at_least(f"REST {rate:,}/s: part of the rate that was kept", kept(one, rate), 0.98)
            if rate == 4_000:
                report.at_most("REST 4,000/s: p99 of a hold, ms", one.tally.percentile(0.99), 15)


def sign_ins(run: Run) -> None:
    """1,000 holds a second over REST; the same while a hundred people a second try to sign in."""
    ground, scale, report = run.ground, run.scale, run.report
    rate, crowd, seconds = 1_000, 100, scale.seconds
    calm, flooded = [], []
    with ground.product() as product:

        def holds() -> Round:
            showtimes = ground.take(scale.showtimes // 4)
            run.warm(product, showtimes)
            lines = client.lines(product.port, LINES * 2)
            script = RestHolds(round_robin(showtimes, run.seats), run.guests, run.acks)
            return paced(product, lines, script, seconds, rate)

        for _ in range(scale.rounds):
            calm.append(holds())
            with logins.flood(product.port, crowd, seconds + 1) as others:
                flooded.append(holds())
                tried: Tally = others.recv()
    report.add("sign_ins", f"attempts, {crowd}/s open loop", tried.rate, "/s", statuses=dict(tried.statuses))
    for name, rounds in (("nobody signs in", calm), ("everybody signs in", flooded)):
        one = slowness(rounds)
        report.add("sign_ins", f"REST, {rate:,}/s open loop, {name}", one.tally.rate, "holds/s", **one.facts())
    times = p99(slowness(flooded)) / max(1e-9, p99(slowness(calm)))
    report.at_most("p99 of a hold while people sign in, times without", times, 2)


def p99(one: Round) -> float:
    return one.tally.percentile(0.99)


def slowness(rounds: Sequence[Round]) -> Round:
    """The round whose p99 is in the middle."""
    return sorted(rounds, key=p99)[len(rounds) // 2]


def paced(server: Server, lines: Sequence[Line], script: Script, seconds: float, rate: float) -> Round:
    client.open_loop(script, lines, 0.5, rate)
    return measured(server, lines, lambda: client.open_loop(script, lines, seconds, rate))


def kept(one: Round, rate: float) -> float:
    """The part of the intended rate that was answered; a run that misses its rate has no p99."""
    return one.tally.rate / rate


def watched(run: Run) -> None:
    """2,000 holds a second, and as many releases, over REST in one showtime with 1,000 watchers; then a stuck one."""
    ground, scale, report = run.ground, run.scale, run.report
    rate = 2_000
    with ground.product() as product:
        calm: Round | None = None
        for stuck in (False, True):
            (showtime,) = ground.take(1)
            with watchers.crowd(product.port, scripts.live_path(showtime), scale.watchers) as crowd:
                sleepers = [_stuck(product.port, showtime)] if stuck else []
                rss = product.rss_kib()
                lines = client.lines(product.port, LINES * 2)
                script = RestCycle(lines, one_by_one([showtime], run.seats), run.guests, run.acks)
                crowd.begin()
                one = paced(product, lines, script, scale.seconds * 1.5, rate * 2)
                seen = settled(crowd)
                client.close(sleepers)
            name = "with a stuck reader" if stuck else f"{scale.watchers:,} watchers"
            report.add("watched", f"REST, 2,000 holds/s, {name}", one.tally.rate / 2, "holds/s", **one.facts())
            note_seen(run, "watched", product, showtime, seen, one, acks=None)
            report.at_least(f"{name}: part of the rate that was kept", kept(one, rate * 2), 0.98)
            report.at_most(f"{name}: p99 of a hold, ms", one.tally.percentile(0.99), 25)
            if calm is None:
                calm = one
            else:
                worse = one.tally.percentile(0.5) / max(1e-9, calm.tally.percentile(0.5))
                report.at_most("median with a stuck reader, times without", worse, 1.5)
                report.add("watched", "memory that the stuck reader cost", product.rss_kib() - rss, "KiB")


def flood(run: Run) -> None:
    """5,000 watchers of one showtime while 5,000 holds a second, and as many releases, go into it over sockets."""
    ground, scale, report = run.ground, run.scale, run.report
    rate = scale.crowd
    (showtime,) = ground.take(1)
    acks = Acks()
    with ground.product() as product:
        with watchers.crowd(product.port, scripts.live_path(showtime), scale.crowd) as crowd:
            lines = run.cyclers(product, [showtime] * LINES * 2)
            crowd.begin()
            one = paced(product, lines, SocketCycle(acks), scale.seconds * 2, rate * 2)
            seen = settled(crowd)
        run.acks.holds += acks.holds
        name = f"{rate:,} holds/s × {scale.crowd:,} watchers"
        report.add("flood", f"socket, {name}", one.tally.rate / 2, "holds/s", **one.facts())
        note_seen(run, "flood", product, showtime, seen, one, acks)
        report.at_least(f"{name}: part of the rate that was kept", kept(one, rate * 2), 0.98)


def settled(crowd: Crowd) -> Seen:
    time.sleep(QUIET_SECONDS)
    return crowd.seen()


def note_seen(
    run: Run, scenario: str, server: Server, showtime: str, seen: Seen, one: Round, acks: Acks | None
) -> None:
    """What watchers got, that nobody missed anything, and that all ended with the server's own version."""
    report, seconds = run.report, one.tally.seconds
    delays = sorted(_delays(seen, acks)) if acks is not None else []
    extra = {
        "frames_per_s": round(seen.frames / seconds),
        "mb_per_s": round(seen.bytes / seconds / 1e6, 1),
        "watch_cpu": round(seen.client_cpu / seconds, 2),
    }
    if delays:
        extra |= {"p50_ms": delays[len(delays) // 2] * 1e3, "p99_ms": delays[int(len(delays) * 0.99)] * 1e3}
    report.add(scenario, "seat changes delivered, change → watcher", seen.changes / seconds, "/s", **extra)
    _, body = client.fetch(server.port, request("GET", f"/api/v1/showtimes/{showtime}/seats?format=sparse"))
    begin = body.index(b'"seq":') + 6
    end = begin
    while body[end : end + 1].isdigit():
        end += 1
    strays = sum(version != int(body[begin:end]) for version in seen.versions)
    report.at_most(f"{scenario}: gaps, lost sockets and stray versions", seen.gaps + seen.closed + strays, 0)


def _delays(seen: Seen, acks: Acks) -> Iterator[float]:
    """From the moment a hold was due to the arrival of the first frame with it or a later one, at every watcher."""
    versions = sorted(acks.asked)
    for version, at in zip(seen.first_versions, seen.arrived_at, strict=True):
        index = bisect_left(versions, version)
        if index < len(versions) and versions[index] <= version + 1:
            yield at - acks.asked[versions[index]]


def fanout(run: Run) -> None:
    """Server time for each delivered frame, beside a naive loop that sends frames of the same size at the same pace."""
    ground, scale, report = run.ground, run.scale, run.report
    ratios = []
    for count in (scale.watchers, scale.crowd):
        with ground.product() as product, ground.fanout() as naive:
            (showtime,) = ground.take(1)
            with (
                watchers.crowd(product.port, scripts.live_path(showtime), count) as ours,
                watchers.crowd(naive.port, "/live", count) as theirs,
            ):
                report.add("fanout", f"joins, {count:,} watchers, with snapshot", count / ours.join_seconds, "/s",
                    naive=round(count / theirs.join_seconds))  # fmt: skip
                pairs = []
                for _ in range(scale.rounds):
                    mine = _trickle(run, product, showtime, ours, scale.seconds)
                    size = mine[2]
                    other = _publish(naive, theirs, scale.seconds, size)
                    pairs.append((mine, other))
                pairs.sort(key=lambda pair: pair[1][1] / pair[0][1])
                (rate, cost, size), (naive_rate, naive_cost, _) = pairs[(len(pairs) - 1) // 2]
        report.add("fanout", f"frames, {count:,} watchers", rate, "/s", server_each=f"{cost:.2f} µs", bytes=size)
        report.add("fanout", f"naive loop, {count:,} watchers", naive_rate, "/s", server_each=f"{naive_cost:.2f} µs")
        ratios.append(naive_cost / cost)
    report.at_least("fan-out: frames per processor second, times the naive loop", ratios[-1], 1.3)


def _trickle(run: Run, server: Server, showtime: str, crowd: Crowd, seconds: float) -> tuple[float, float, int]:
    """(frames a second, server µs per frame, bytes of a frame) while one seat changes ten times a second."""
    (line,) = run.cyclers(server, [showtime], first_seat=200)
    crowd.begin()
    before = server.usage()
    client.open_loop(SocketCycle(run.acks), [line], seconds, 10)
    seen = settled(crowd)
    client.close([line])
    return _cost(seen, seconds, server.usage().server - before.server)


def _publish(server: Server, crowd: Crowd, seconds: float, size: int) -> tuple[float, float, int]:
    """The same of the naive server, told what to send."""
    crowd.begin()
    before = server.usage()
    end, due, version = time.monotonic() + seconds, time.monotonic(), _next_version(crowd)
    while (now := time.monotonic()) < end:
        if now < due:
            time.sleep(due - now)
        due += 0.1
        head = b'{"type":"delta","epoch":1,"from":%d,"to":%d,"held":["' % (version, version)
        client.fetch(server.port, request("POST", "/publish", "", head + b"A" * max(1, size - len(head) - 7) + b'"]}'))
        version += 1
    seen = settled(crowd)
    return _cost(seen, seconds, server.usage().server - before.server)


def _next_version(crowd: Crowd) -> int:
    return max(crowd.seen().versions) + 1


def _cost(seen: Seen, seconds: float, cpu: float) -> tuple[float, float, int]:
    assert seen.gaps == 0, seen.gaps
    return seen.frames / seconds, cpu / max(1, seen.frames) * 1e6, seen.bytes // max(1, seen.frames)


def memory(run: Run) -> None:
    """What a resident showtime and an idle socket cost, each in a server that has just started."""
    ground, scale, report = run.ground, run.scale, run.report
    showtimes = ground.take(1_000)
    with ground.product() as product:
        run.warm(product, showtimes[:1])
        before = product.rss_kib()
        run.warm(product, showtimes[1:])
        lines = client.lines(product.port, LINES)
        script = RestHolds(round_robin(showtimes[1:], run.seats[:20]), run.guests, run.acks)
        client.closed_loop(script, lines, 30)
        client.close(lines)
        each = (product.rss_kib() - before) / (len(showtimes) - 1)
        report.add("memory", "resident showtime with 20 live holds", each, "KiB")
    with ground.product() as product:
        run.warm(product, showtimes[:1])
        before = product.rss_kib()
        with watchers.crowd(product.port, scripts.live_path(showtimes[0]), scale.idle) as crowd:
            time.sleep(QUIET_SECONDS)
            each = (product.rss_kib() - before) / scale.idle
            joins = round(scale.idle / crowd.join_seconds)
            report.add("memory", f"idle socket, of {scale.idle:,}", each, "KiB", joins_per_s=joins)
        report.at_most("memory of an idle socket, KiB", each, 20)


def recovery(run: Run) -> None:
    """How long the first question about a showtime takes whose log is long: with its newest snapshot, then without."""
    ground, scale, report = run.ground, run.scale, run.report
    (showtime,) = ground.take(1)
    seats = request("GET", f"/api/v1/showtimes/{showtime}/seats")
    with ground.product() as product:
        lines, events = run.cyclers(product, [showtime] * LINES), 0
        while events < scale.log_events:
            events += client.closed_loop(SocketCycle(run.acks), lines, 1.0).done
        client.close(lines)
        _, body = client.fetch(product.port, seats)
    for name in ("from a snapshot", "from the whole log"):
        if name == "from the whole log":
            asyncio.run(_forget_snapshot(ground.dsn, showtime))
        with ground.product() as product:
            client.fetch(product.port, request("GET", "/api/v1/showtimes/00000000-0000-7000-8000-000000000000/seats"))
            begin = time.perf_counter()
            status, again = client.fetch(product.port, seats)
            seconds = time.perf_counter() - begin
        assert status == 200, again
        report.add("recovery", f"{events:,} events, {name}", seconds * 1e3, "ms")
        if name == "from the whole log":
            report.at_most(f"recovery of {events:,} events, s", seconds, 1.0)
        report.at_most(f"recovery {name}: differences in held, sold, counts", _facts(body) != _facts(again), 0)


def _facts(body: bytes) -> bytes:
    """The part of a snapshot that a restart does not change: from the list of held seats to the counts."""
    begin = body.index(b'"held":')
    return body[begin : body.index(b"}", body.index(b'"counts":'))]


async def _forget_snapshot(dsn: str, showtime: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("DELETE FROM snapshot WHERE showtime_id = $1", showtime)
    finally:
        await connection.close()


def _stuck(port: int, showtime: str) -> Line:
    """A watcher with a small buffer that never reads."""
    line = Line(client.connect(port, receive_buffer=4_096))
    line.socket.sendall(protocol.upgrade(scripts.live_path(showtime)))
    return line


def check(run: Run) -> None:
    """After everything: the log has every hold that was acknowledged, and `marquee verify` finds no difference."""
    findings = asyncio.run(audit(run.ground.dsn, run.acks.holds))
    report = run.report
    report.add("check", "events in the log", findings.events, "", acknowledged=findings.acknowledged)
    report.at_most("acknowledged holds that the log does not have", findings.lost, 0)
    report.at_most("seats in two hands, versions missing", findings.doubled + findings.gaps, 0)
    report.at_most("exit status of marquee verify", run.ground.verify(), 0)


def catalogue(run: Run) -> None:
    """The list of films, asked for again and again, beside a trivial handler that says the same bytes."""
    ground, scale, report = run.ground, run.scale, run.report
    asyncio.run(films.seed(ground.dsn))
    plain: list[Round] = []
    ours: list[Round] = []
    known: list[Round] = []
    with ground.product() as product, ground.trivial() as trivial:
        body = films.teach(trivial.port, product.port)
        for _ in range(scale.rounds):
            for server, script, rounds in (
                (trivial, films.Reads("/"), plain),
                (product, films.Reads(films.LIST), ours),
                (product, films.Reads(films.LIST, known=body), known),
            ):
                lines = client.lines(server.port, LINES)
                rounds.append(measured(server, lines, partial(client.closed_loop, script, lines, scale.seconds / 2)))
    for name, rounds in (("trivial handler", plain), ("films", ours), ("films, 304", known)):
        one = middle(rounds)
        report.add("catalogue", name, one.tally.rate, "answers/s", **one.facts())
    report.at_least("list of films, times a trivial handler", ratio(ours, plain), 0.5)
    report.at_least("list of films to who has it, times a trivial handler", ratio(known, plain), 0.8)


SCENARIOS: Final[dict[str, Callable[[Run], None]]] = {
    "sign_ins": sign_ins,  # comes first: it compares slowest holds, and PostgreSQL has nothing to tidy up yet
    "holds": holds,
    "cycle": cycle_of_holds,
    "storm": storm,
    "latency": latency,
    "watched": watched,
    "flood": flood,
    "fanout": fanout,
    "memory": memory,
    "recovery": recovery,
    "catalogue": catalogue,
    "sales": sales,  # comes last: the letters about them are still being written for a while
}
