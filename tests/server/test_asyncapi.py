"""The AsyncAPI document: whole in itself, and true to what sockets say and hear."""

from collections.abc import Iterator
from typing import Any

from aiohttp import ClientWebSocketResponse
from pydantic import TypeAdapter

from server.asyncapi import SAID, TOLD, document
from server.live import session
from tests.server.house import open_house
from tests.server.rest.cinema import open_counter


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _refs(inner)


def test_every_reference_leads_somewhere() -> None:
    whole = document()
    assert whole["asyncapi"] == "3.0.0"
    for ref in _refs(whole):
        found = whole
        for name in ref.removeprefix("#/").split("/"):
            found = found[name]


def test_it_knows_every_message_that_a_session_reads() -> None:
    assert SAID.keys() == session._KINDS.keys()
    for name, kind in session._KINDS.items():
        assert set(kind.fields) | {"type", "id"} == set(SAID[name].__annotations__), name
        assert set(kind.required) <= SAID[name].__required_keys__, name


async def _until(socket: ClientWebSocketResponse, kind: str, heard: list[dict[str, Any]]) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = await socket.receive_json(timeout=30)
        heard.append(frame)
        if frame["type"] == kind:
            return frame


async def test_a_conversation_is_made_of_the_described_messages(database_url: str) -> None:
    async with open_house(database_url) as house:
        counter = await open_counter(house)
        ana, heard = counter.person(), list[dict[str, Any]]()
        async with house.client.ws_connect(f"/api/v1/showtimes/{counter.showtime_id}/live") as socket:
            await _until(socket, "snapshot", heard)
            said: list[dict[str, Any]] = [
                {"type": "auth", "id": 1, "token": ana.token},
                {"type": "hold", "id": 2, "key": "k", "seats": ["A1"], "ticket_types": {"A1": "adult"}},
            ]
            for message in said:
                await socket.send_json(message)
                assert (await _until(socket, "result", heard))["ok"], heard[-1]
            hold_id = heard[-1]["hold_id"]
            if not any(frame["type"] == "delta" for frame in heard):  # it may come after the result
                await _until(socket, "delta", heard)
            said = [
                {"type": "change", "id": 3, "hold_id": hold_id, "add": ["A2"], "remove": ["A1"]},
                {"type": "renew", "id": 4, "hold_id": hold_id},
                {"type": "release", "id": 5, "hold_id": hold_id},
                {"type": "release", "id": 6, "hold_id": counter.showtime_id},
            ]
            for message in said:
                await socket.send_json(message)
                await _until(socket, "result", heard)
            await socket.send_json({"type": "ping", "id": 7})
            await _until(socket, "pong", heard)
            await socket.send_json({"type": "resync", "id": 8})
            await _until(socket, "snapshot", heard)
        async with house.client.ws_connect("/api/v1/live") as socket:
            await _until(socket, "availability", heard)
    assert {"hello", "snapshot", "delta", "mine", "result", "pong", "availability"} <= {
        frame["type"] for frame in heard
    }
    for frame in heard:
        shape = TOLD[frame["type"]]
        TypeAdapter(shape).validate_python(frame)
        if frame["type"] != "result":  # which carries the fields of a REST answer, too
            assert frame.keys() <= shape.__annotations__.keys(), frame
