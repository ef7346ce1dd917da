"""The live edge on real sockets, over the whole application and a real database."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from actors.ids import mint
from server.keys import HUB, LIVE, REGISTRY, TOKENS
from server.live import socket as live_socket
from server.live.fold import View, fold, view_of
from server.live.watcher import Watcher
from server.staff import create_admin
from tests.server.house import House, open_house
from tests.server.rest.cinema import Counter, Person, expect, fresh_key, open_counter

PATIENCE_SECONDS = 30
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}  # fmt: skip


@pytest.fixture
async def counter(database_url: str) -> AsyncIterator[Counter]:
    async with open_house(database_url, rate_limit=False) as house:
        yield await open_counter(house)


class Watching:
    """One open socket, and what it has said so far."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self._ids = iter(range(1, 100_000))

    async def next(self, *kinds: str) -> dict[str, Any]:
        """The next frame of one of these types."""
        while True:
            message = await self.socket.receive(timeout=PATIENCE_SECONDS)
            assert message.type is WSMsgType.TEXT, (message, self.socket.close_code, self.heard[-3:])
            frame: dict[str, Any] = orjson.loads(message.data)
            self.heard.append(frame)
            if not kinds or frame["type"] in kinds:
                return frame

    async def ask(self, type_: str, **said: Any) -> dict[str, Any]:
        """Send a frame and wait for its result."""
        ref = next(self._ids)
        await self.socket.send_str(orjson.dumps({"type": type_, "id": ref, **said}).decode())
        while (result := await self.next("result", "pong"))["id"] != ref:
            pass
        return result

    async def sign_in(self, person: Person) -> dict[str, Any]:
        result = await self.ask("auth", token=person.token)
        assert result["ok"], result
        return await self.next("mine")

    async def close_code(self) -> int | None:
        """Read on until the server ends it."""
        while True:
            message = await self.socket.receive(timeout=PATIENCE_SECONDS)
            if message.type is WSMsgType.TEXT:
                self.heard.append(orjson.loads(message.data))
            else:
                return self.socket.close_code

    def view(self) -> View:
        view: View | None = None
        for frame in self.heard:
            after = fold(view, frame)
            assert after is None or isinstance(after, View), (view, frame)
            view = after
        assert view is not None
        return view


async def watch(house: House, showtime_id: str, query: str = "", **rest: Any) -> Watching:
    return Watching(await house.client.ws_connect(f"/api/v1/showtimes/{showtime_id}/live{query}", **rest))


async def refused(house: House, path: str, **headers: str) -> int:
    with pytest.raises(WSServerHandshakeError) as refusal:
        await house.client.ws_connect(path, headers=headers)
    return refusal.value.status


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_watcher_is_greeted_and_told_the_state(counter: Counter) -> None:
    watching = await watch(counter.house, counter.showtime_id)
    hello, snapshot = await watching.next(), await watching.next()
    assert (hello["type"], hello["heartbeat_s"], hello["max_seats"]) == ("hello", 15, 10)
    assert (snapshot["type"], snapshot["counts"]["free"]) == ("snapshot", 120)


async def test_a_seat_held_on_one_socket_shows_on_the_others(counter: Counter) -> None:
    mine, theirs = await watch(counter.house, counter.showtime_id), await watch(counter.house, counter.showtime_id)
    await theirs.next("snapshot")
    await mine.sign_in(counter.person())
    result = await mine.ask("hold", key=fresh_key(), seats=["A1", "A2"])
    assert result["ok"], result
    assert [seat["seat"] for seat in result["seats"]] == ["A1", "A2"]
    delta = await theirs.next("delta")
    assert (delta["held"], delta["to"]) == (["A1", "A2"], result["seq"])


async def test_a_taken_seat_is_refused_with_its_name_and_the_reason(counter: Counter) -> None:
    ana, bob = await watch(counter.house, counter.showtime_id), await watch(counter.house, counter.showtime_id)
    await ana.sign_in(counter.person())
    await bob.sign_in(counter.person())
    await ana.ask("hold", seats=["A1"])
    result = await bob.ask("hold", seats=["A1", "A2"])
    assert (result["ok"], result["status"], result["code"]) == (False, 409, "seats_unavailable")
    assert result["conflicts"] == [{"seat": "A1", "reason": "held"}]


async def test_a_result_carries_the_fields_of_the_rest_answer(counter: Counter) -> None:
    person = counter.person()
    watching = await watch(counter.house, counter.showtime_id)
    await watching.sign_in(person)
    key, said = fresh_key(), {"seats": ["C1", "C2"], "ticket_types": {"C2": "child"}}
    result = await watching.ask("hold", key=key, **said)
    rest = await expect(await person.post(f"/showtimes/{counter.showtime_id}/holds", said, key=key), 201)
    assert {name: fact for name, fact in result.items() if name not in ("type", "id", "ok")} == rest


async def test_a_hold_is_changed_renewed_and_released_over_the_socket(counter: Counter) -> None:
    watching = await watch(counter.house, counter.showtime_id)
    await watching.sign_in(counter.person())
    hold_id = (await watching.ask("hold", seats=["A1", "A2"]))["hold_id"]
    changed = await watching.ask("change", hold_id=hold_id, add=["A3"], remove=["A1"])
    assert [seat["seat"] for seat in changed["seats"]] == ["A2", "A3"]
    renewed = await watching.ask("renew", hold_id=hold_id)
    assert renewed["renewals_left"] == changed["renewals_left"] - 1
    released = await watching.ask("release", hold_id=hold_id)
    assert released["ok"]
    assert released["seq"] > renewed["seq"]
    assert (await counter.seats())["counts"]["free"] == 120


async def test_a_hold_that_is_not_the_callers_is_answered_as_over_rest(counter: Counter) -> None:
    watching, person = await watch(counter.house, counter.showtime_id), counter.person()
    await watching.sign_in(person)
    theirs = (await counter.person().hold(counter.showtime_id, "A1"))["hold_id"]
    past = (await person.hold(counter.showtime_id, "B1"))["hold_id"]
    assert (await person.delete(f"/holds/{past}")).status == 204
    for hold_id in ("nonsense", mint(0), theirs, past):
        path = f"/holds/{hold_id}"
        over_rest = [
            await person.patch(path, {"add": ["C1"]}), await person.post(f"{path}/renew"), await person.delete(path)
        ]  # fmt: skip
        over_socket = [
            await watching.ask("change", hold_id=hold_id, add=["C1"]),
            await watching.ask("renew", hold_id=hold_id),
            await watching.ask("release", hold_id=hold_id),
        ]
        for response, result in zip(over_rest, over_socket, strict=True):
            assert result["ok"] == response.ok
            if not response.ok:
                body = await response.json()
                assert (result["status"], result["code"]) == (response.status, body["code"])
    assert (await counter.seats())["held"] == ["A1"]


async def test_one_key_many_times_at_once_over_both_ways_is_one_hold(counter: Counter) -> None:
    person, key = counter.person(), fresh_key()
    sockets = [await watch(counter.house, counter.showtime_id) for _ in range(5)]
    for watching in sockets:
        await watching.sign_in(person)
    over_sockets = [watching.ask("hold", key=key, seats=["D1", "D2"]) for watching in sockets]
    over_rest = [
        person.post(f"/showtimes/{counter.showtime_id}/holds", {"seats": ["D1", "D2"]}, key=key) for _ in range(5)
    ]
    results, responses = await asyncio.gather(asyncio.gather(*over_sockets), asyncio.gather(*over_rest))
    ids = {result["hold_id"] for result in results} | {(await r.json())["hold_id"] for r in responses}
    assert len(ids) == 1
    assert (await counter.seats())["counts"]["held"] == 2


async def test_own_things_are_told_to_every_socket_of_their_owner_and_to_nobody_else(counter: Counter) -> None:
    person = counter.person()
    here, there = await watch(counter.house, counter.showtime_id), await watch(counter.house, counter.showtime_id)
    await here.sign_in(person)
    await there.sign_in(person)
    stranger = await watch(counter.house, counter.showtime_id)
    held = await here.ask("hold", seats=["A1"])
    while not (mine := await there.next("mine"))["holds"]:
        pass
    assert mine["holds"][0]["hold_id"] == held["hold_id"]
    await stranger.ask("ping")
    await person.buy(counter.showtime_id, "B1")
    while not (mine := await there.next("mine"))["bookings"] or mine["bookings"][0]["status"] != "confirmed":
        pass
    assert mine["bookings"][0]["seats"] == ["B1"]
    await stranger.ask("ping")
    assert not [frame for frame in stranger.heard if frame["type"] == "mine"]


async def test_my_own_socket_follows_me_over_showtimes(counter: Counter) -> None:
    person = counter.person()
    watching = Watching(await counter.house.client.ws_connect("/api/v1/me/live"))
    await watching.sign_in(person)
    held = await person.hold(counter.showtime_id, "A1")
    mine = await watching.next("mine")
    assert (mine["showtime_id"], mine["holds"][0]["hold_id"]) == (counter.showtime_id, held["hold_id"])
    again = Watching(await counter.house.client.ws_connect("/api/v1/me/stream"))
    assert (await again.sign_in(person))["holds"][0]["hold_id"] == held["hold_id"]


async def test_an_upgrade_carries_the_request_id_and_does_not_say_what_we_are_made_of(counter: Counter) -> None:
    address = counter.house.client.make_url(f"/api/v1/showtimes/{counter.showtime_id}/live")
    async with counter.house.client.session.get(address, headers={**UPGRADE, "X-Request-Id": "mine-1"}) as response:
        told = (response.status, response.headers["X-Request-Id"], response.headers["Server"])
        response.close()
    assert told == (101, "mine-1", "marquee")


async def test_the_lobby_hears_of_free_seats(counter: Counter) -> None:
    lobby = Watching(await counter.house.client.ws_connect("/api/v1/live"))
    assert (await lobby.next("availability"))["showtimes"][counter.showtime_id] == 120
    await counter.person().hold(counter.showtime_id, "A1", "A2")
    assert (await lobby.next("availability"))["showtimes"] == {counter.showtime_id: 118}


async def test_a_socket_that_has_gone_leaves_nothing_behind(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda _generation=2: 0)
    edge = counter.house.app[LIVE]
    watching = await watch(counter.house, counter.showtime_id)
    await watching.sign_in(counter.person())
    (connection,) = map(weakref.ref, edge.connections)
    await watching.socket.close()
    await until(lambda: not edge.connections)
    await asyncio.sleep(0.05)
    assert connection() is None


async def test_resuming_misses_nothing(counter: Counter) -> None:
    first = await watch(counter.house, counter.showtime_id)
    seq = (await first.next("snapshot"))["seq"]
    await first.socket.close()
    person = counter.person()
    for seat in ("A1", "B1", "C1"):
        await person.hold(counter.showtime_id, seat)
    second = await watch(counter.house, counter.showtime_id, f"?since={seq}")
    second.heard = [frame for frame in first.heard if frame["type"] == "snapshot"]
    delta = await second.next("delta")
    facts = await counter.seats()
    assert (delta["from"], delta["to"], delta["held"]) == (seq + 1, facts["seq"], ["A1", "B1", "C1"])
    assert second.view().as_json() == view_of(facts).as_json()
    third = await watch(counter.house, counter.showtime_id, f"?since={facts['seq']}")
    assert (await third.next("snapshot", "delta", "tick"))["type"] == "tick"


async def test_fifty_watchers_of_a_race_end_equal_to_the_seats(counter: Counter) -> None:
    house, showtime_id = counter.house, counter.showtime_id
    watchers = [await watch(house, showtime_id) for _ in range(50)]
    people = [counter.person() for _ in range(40)]
    racing = [person.post(f"/showtimes/{showtime_id}/holds", {"seats": ["E5", "E6"]}) for person in people]
    statuses = [response.status for response in await asyncio.gather(*racing)]
    assert sorted(statuses) == [201] + [409] * 39
    facts = await counter.seats()
    truth = view_of(facts).as_json()
    for watching in watchers:
        while not any(frame.get("to", frame.get("seq", 0)) >= facts["seq"] for frame in watching.heard):
            await watching.next()
        assert watching.view().as_json() == truth


async def test_resync_is_answered_with_one_snapshot(counter: Counter) -> None:
    watching = await watch(counter.house, counter.showtime_id)
    await watching.next("snapshot")
    await counter.person().hold(counter.showtime_id, "A1")
    await watching.socket.send_str('{"type":"resync","id":7}')
    assert (await watching.next("snapshot"))["held"] == ["A1"]


async def test_unknown_showtimes_and_foreign_pages_get_no_socket(counter: Counter) -> None:
    house, path = counter.house, f"/api/v1/showtimes/{counter.showtime_id}/live"
    assert await refused(house, f"/api/v1/showtimes/{mint(0)}/live") == 404
    assert await refused(house, "/api/v1/showtimes/nonsense/live") == 404
    assert await refused(house, f"{path}?since=abc") == 422
    for foreign in ("https://evil.example", "null", "http://127.0.0.1:1", "file://", "http://[", "javascript:1"):
        assert await refused(house, path, Origin=foreign) == 403, foreign
    assert (await house.get(f"/showtimes/{counter.showtime_id}/live")).status == 426


async def test_the_sites_own_pages_may_open_sockets(database_url: str) -> None:
    async with open_house(database_url, public_url="https://tickets.example") as house:
        counter = await open_counter(house)
        own = f"http://{house.client.host}:{house.client.port}"
        for origin in (own, "https://tickets.example", "https://tickets.example:443"):
            watching = await watch(house, counter.showtime_id, origin=origin)
            assert (await watching.next())["type"] == "hello"


async def test_too_many_sockets_from_one_address_are_refused(database_url: str) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        edge = house.app[LIVE]
        edge.limits = replace(edge.limits, sockets_per_address_max=3)
        sockets = [await watch(house, counter.showtime_id) for _ in range(3)]
        assert await refused(house, f"/api/v1/showtimes/{counter.showtime_id}/live") == 429
        await sockets[0].socket.close()
        await until(lambda: len(edge.connections) == 2)
        await watch(house, counter.showtime_id)
        assert await refused(house, f"/api/v1/showtimes/{counter.showtime_id}/live") == 429


async def test_a_flood_of_messages_ends_with_4429(database_url: str) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        watching = await watch(house, counter.showtime_id)
        for _ in range(200):
            await watching.socket.send_str('{"type":"ping"}')
        assert await watching.close_code() == 4429


@pytest.mark.parametrize(
    ("message", "code"), [("nonsense", 4400), ('{"type":"shout"}', 4400), ("x" * 16_385, 1009), (b"\x00", 4400)]
)
async def test_nonsense_ends_with_its_code(counter: Counter, message: str | bytes, code: int) -> None:
    watching = await watch(counter.house, counter.showtime_id)
    if isinstance(message, str):
        await watching.socket.send_str(message)
    else:
        await watching.socket.send_bytes(message)
    assert await watching.close_code() == code


async def test_a_frame_of_16_kib_is_still_read(counter: Counter) -> None:
    watching = await watch(counter.house, counter.showtime_id)
    padding = " " * (16_384 - len('{"type":"ping","id":1}'))
    await watching.socket.send_str('{"type":"ping","id":1}' + padding)
    assert (await watching.next("pong"))["id"] == 1


async def test_logging_out_ends_the_socket_with_4401(counter: Counter) -> None:
    member = await counter.house.member()
    watching = await watch(counter.house, counter.showtime_id)
    assert (await watching.ask("auth", token=member["access_token"]))["ok"]
    left = await counter.house.post("/auth/logout", token=member["access_token"])
    assert left.status == 204
    assert await watching.close_code() == 4401


@pytest.mark.parametrize("asked", [{"roles": ["customer", "usher"]}, {"blocked": True}])
async def test_another_role_or_a_block_ends_the_socket_with_4401(
    counter: Counter, database_url: str, asked: dict[str, Any]
) -> None:
    house = counter.house
    said = await create_admin(database_url, "root@example.com")
    login = {"email": "root@example.com", "password": said.split()[-1]}
    admin = (await expect(await house.post("/auth/login", login), 200))["access_token"]
    member = await house.member()
    watching = await watch(house, counter.showtime_id)
    assert (await watching.ask("auth", token=member["access_token"]))["ok"]
    path = f"/admin/users/{member['user']['id']}"
    assert (await house.ask("PATCH", path, json=asked, token=admin)).status == 200
    assert await watching.close_code() == 4401
    again = await watch(house, counter.showtime_id)
    refused = await again.ask("auth", token=member["access_token"])
    assert refused["ok"] is False


async def test_a_changed_password_ends_the_sockets_of_others_only(counter: Counter) -> None:
    house, words = counter.house, {"email": "ana@example.com", "password": "correct horse battery"}
    mine = await house.member(**words)
    other = await expect(await house.post("/auth/login", words), 200)
    sockets = [await watch(house, counter.showtime_id) for _ in range(2)]
    for watching, pair in zip(sockets, (mine, other), strict=True):
        assert (await watching.ask("auth", token=pair["access_token"]))["ok"]
    asked = {"current_password": words["password"], "new_password": "another horse altogether"}
    assert (await house.post("/auth/change-password", asked, token=mine["access_token"])).status == 204
    assert await sockets[1].close_code() == 4401
    assert (await sockets[0].ask("ping"))["type"] == "pong"


async def test_a_token_that_is_no_good_is_answered_and_ends_with_4401(counter: Counter) -> None:
    watching = await watch(counter.house, counter.showtime_id)
    result = await watching.ask("auth", token="nonsense")
    assert (result["ok"], result["status"], result["code"]) == (False, 401, "auth_required")
    assert await watching.close_code() == 4401


async def test_acting_without_signing_in_is_refused_but_watching_goes_on(counter: Counter) -> None:
    watching = await watch(counter.house, counter.showtime_id)
    result = await watching.ask("hold", seats=["A1"])
    assert (result["status"], result["code"]) == (401, "auth_required")
    assert (await watching.ask("ping"))["type"] == "pong"


async def test_a_restart_says_goodbye_with_a_hint_when_to_return(database_url: str) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        watching = await watch(house, counter.showtime_id)
        await watching.next("snapshot")
        draining = asyncio.create_task(live_socket.send_everybody_away(house.app))
        bye = await watching.next("bye")
        assert (bye["code"], bye["retry_after_ms"] >= 200) == ("restarting", True)
        assert await watching.close_code() == 1012
        await draining
        assert not house.app[LIVE].connections


async def test_a_stuck_reader_is_left_behind_then_closed_with_4408_while_others_go_on(counter: Counter) -> None:
    house, edge = counter.house, counter.house.app[LIVE]
    stuck = _raw_socket(house, counter.showtime_id)
    try:
        await until(lambda: edge.connections)
        [slow] = edge.connections
        other = await watch(house, counter.showtime_id)
        await other.next("snapshot")
        transport = slow.watcher.transport
        hub, showtimes = house.app[HUB], house.app[REGISTRY]
        await _jam(slow.watcher)
        backlog = transport.get_write_buffer_size()
        person = counter.person()
        for n in range(1, 9):
            held = await person.hold(counter.showtime_id, f"A{n}")
            while (await other.next("delta"))["to"] < held["seq"]:
                pass
        assert transport.get_write_buffer_size() == backlog < 256 * 1024
        slow.watcher.stale_since = 1  # long ago: its time is up at the next look
        await until(lambda: slow.watcher.closed)
        received = await asyncio.to_thread(_read_all, stuck)
        assert received.endswith((4408).to_bytes(2) + b"frames are not read")
        await until(lambda: slow not in edge.connections)
        assert showtimes.resident(counter.showtime_id) is not None
        assert list(hub) == [counter.showtime_id]
    finally:
        stuck.close()


def _raw_socket(house: House, showtime_id: str) -> socket.socket:
    """A socket that shakes hands and then never reads."""
    url = urlsplit(str(house.client.make_url(f"/api/v1/showtimes/{showtime_id}/live")))
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.connect((url.hostname, url.port))
    raw.sendall(
        f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
    )
    return raw


async def _jam(watcher: Watcher) -> None:
    """Write until kernel and transport are full and nothing moves any more."""
    filler = b"\x81\x7e\xff\xff" + b" " * 65_535
    quiet, before = 0, -1
    while quiet < 20:
        watcher.offer(filler)
        await asyncio.sleep(0.001)
        now = watcher.transport.get_write_buffer_size()
        quiet, before = (quiet + 1 if now == before and watcher.stale_since is not None else 0), now


def _read_all(raw: socket.socket) -> bytes:
    raw.settimeout(PATIENCE_SECONDS)
    received = b""
    while chunk := raw.recv(65_536):
        received += chunk
        if received.endswith(b"frames are not read"):
            break
    return received


async def test_a_showtime_that_was_rebuilt_goes_on_with_a_snapshot_of_its_new_epoch(counter: Counter) -> None:
    watching = await watch(counter.house, counter.showtime_id)
    await watching.sign_in(counter.person())
    await watching.ask("hold", seats=["A1"])
    actor = counter.house.app[REGISTRY].resident(counter.showtime_id)
    assert actor is not None
    await actor.stop()
    held = await watching.ask("hold", seats=["A2"])
    assert held["ok"], held
    while not watching.heard[-1].get("to", 0) >= held["seq"]:
        await watching.next()
    assert watching.view().epoch == actor.epoch + 1
    assert watching.view().as_json() == view_of(await counter.seats()).as_json()


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_a_client_that_says_goodbye_hears_its_own_code(counter: Counter, code: int) -> None:
    watching = await watch(counter.house, counter.showtime_id)
    await watching.next("snapshot")
    assert await watching.socket.close(code=code)
    assert watching.socket.close_code == code
    await until(lambda: not counter.house.app[LIVE].connections)
    assert list(counter.house.app[HUB]) == []


async def test_hostile_messages_leave_the_server_standing(counter: Counter) -> None:
    bad = [b"", b"{", b"[]", b'{"type":[]}', b'{"type":"hold","seats":{}}', b"\xff", b'{"type":"auth","token":1}']
    for raw in bad:
        watching = await watch(counter.house, counter.showtime_id)
        await watching.socket.send_frame(raw, WSMsgType.TEXT)
        await watching.socket.close()
    watching = await watch(counter.house, counter.showtime_id)
    assert (await watching.ask("ping"))["type"] == "pong"
    assert counter.house.app[TOKENS] is counter.house.app[LIVE].tokens
