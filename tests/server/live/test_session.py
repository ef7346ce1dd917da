"""The socket protocol as a pure object: frames in, actions out."""

import random
from typing import Any

import orjson
import pytest

from actors.ids import mint, mint_in
from actors.seatmap.commands import BestAvailable, ChangeHold, HoldSeats, ReleaseHold, RenewHold
from server.auth.identity import Identity
from server.errors import unauthorized
from server.idempotency import command_id, intent_of
from server.live.limits import Limits
from server.live.session import (
    Action,
    Ask,
    Authenticate,
    Close,
    CloseCode,
    Desk,
    Resync,
    Send,
    Session,
)
from tests.server.live.stage import START, text

ANA = Identity("ana", "session-1", frozenset({"customer"}), frozenset(), START + 60_000)
NUMBER = 7
HOLD_ID = mint_in(NUMBER, START)


def watching(*, rate_limited: bool = False) -> Session:
    minted = iter(f"minted-{n}" for n in range(100_000))
    return Session(Limits(), Desk("show", NUMBER, lambda: next(minted), "request-1"), rate_limited)


def signed_in(*, rate_limited: bool = False) -> Session:
    session = watching(rate_limited=rate_limited)
    session.signed_in(0, ANA)
    return session


def say(session: Session, said: object, now: int = START) -> list[Action]:
    return list(session.receive(said if isinstance(said, bytes) else orjson.dumps(said), now))


def answer(actions: list[Action]) -> dict[str, Any]:
    [action] = actions
    assert isinstance(action, Send), action
    return text(action.frame)


def test_a_token_is_handed_out_for_verification() -> None:
    assert say(watching(), {"type": "auth", "id": 1, "token": "t"}) == [Authenticate(1, "t")]


def test_a_verified_token_is_answered_with_who_one_is() -> None:
    assert answer(list(watching().signed_in(1, ANA))) == {
        "type": "result", "id": 1, "ok": True, "user": {"id": "ana", "roles": ["customer"]}
    }  # fmt: skip


def test_a_bad_token_is_answered_and_ends_the_socket() -> None:
    session = watching()
    told, close = session.turned_away(1, unauthorized("token_expired", "Your session needs to be refreshed."))
    assert isinstance(told, Send)
    assert text(told.frame)["code"] == "token_expired"
    assert close == Close(CloseCode.SIGNED_OUT, "token_expired")
    assert say(session, {"type": "ping"}) == []


def test_seats_are_held_in_the_order_asked_for() -> None:
    [ask] = say(signed_in(), {"type": "hold", "id": 2, "seats": ["F8", "F7"], "ticket_types": {"F8": "child"}})
    assert isinstance(ask, Ask)
    assert isinstance(ask.command, HoldSeats)
    assert (ask.ref, ask.command.seats, ask.command.ticket_types) == (2, ("F8", "F7"), {"F8": "child"})
    assert ask.command.cause.actor_id == "ana"
    assert not ask.command.cause.retryable


def test_the_best_seats_can_be_asked_for() -> None:
    [ask] = say(signed_in(), {"type": "hold", "id": 3, "best_available": {"count": 4, "category": "standard"}})
    assert isinstance(ask, Ask)
    assert isinstance(ask.command, HoldSeats)
    assert ask.command.best_available == BestAvailable(4, "standard")


def test_a_key_makes_the_same_command_as_over_rest() -> None:
    said = {"seats": ["F7", "F8"], "ticket_types": {"F8": "child"}}
    [ask] = say(signed_in(), {"type": "hold", "id": 2, "key": "k-1", **said})
    assert isinstance(ask, Ask)
    cause = ask.command.cause
    assert cause.retryable
    assert cause.command_id == command_id("ana", "hold", "k-1")
    assert cause.intent == intent_of(said)


@pytest.mark.parametrize(
    ("said", "command", "operation"),
    [
        ({"add": ["F9"], "remove": ["F7"]}, ChangeHold, "change"),
        ({}, RenewHold, "renew"),
        ({}, ReleaseHold, "release"),
    ],
)
def test_a_hold_is_changed_renewed_and_released(said: dict[str, Any], command: type, operation: str) -> None:
    [ask] = say(signed_in(), {**said, "type": operation, "id": 4, "key": "k", "hold_id": HOLD_ID})
    assert isinstance(ask, Ask)
    assert type(ask.command) is command
    assert ask.command.cause.command_id == command_id("ana", operation, "k", HOLD_ID)
    assert ask.command.cause.intent == intent_of({**said, "hold_id": HOLD_ID})


@pytest.mark.parametrize("hold_id", ["nonsense", mint(START), mint_in(NUMBER + 1, START), HOLD_ID.upper()])
@pytest.mark.parametrize(
    ("type_", "said"), [("change", {"add": ["F9"]}), ("renew", {}), ("release", {}), ("hold", {"seats": ["F9"]})]
)
def test_what_is_no_hold_of_this_showtime_is_not_found(type_: str, said: dict[str, Any], hold_id: str) -> None:
    told = answer(say(signed_in(), {"type": type_, "id": 6, "key": "k", "hold_id": hold_id, **said}))
    assert (told["id"], told["ok"], told["status"], told["code"]) == (6, False, 404, "hold_not_found")


@pytest.mark.parametrize("type_", ["hold", "change", "renew", "release"])
def test_an_anonymous_watcher_may_not_act(type_: str) -> None:
    said = {"hold": {"seats": ["A1"]}, "change": {"hold_id": HOLD_ID, "add": ["A1"]}}.get(type_, {"hold_id": HOLD_ID})
    told = answer(say(watching(), {"type": type_, "id": 5, **said}))
    assert (told["id"], told["ok"], told["status"], told["code"]) == (5, False, 401, "auth_required")


def test_a_socket_without_a_desk_takes_no_commands() -> None:
    session = Session(Limits(), None)
    session.signed_in(0, ANA)
    [close] = say(session, {"type": "renew", "hold_id": HOLD_ID})
    assert isinstance(close, Close)
    assert close.code == CloseCode.BAD_FRAME


def test_ping_and_resync_need_no_identity() -> None:
    assert answer(say(watching(), {"type": "ping", "id": 9})) == {"type": "pong", "id": 9}
    assert say(watching(), {"type": "resync", "id": 7}) == [Resync()]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"nonsense", b"[]", b"7", b'"text"', b"null", b"{}", b'{"type":7}', b'{"type":"shout"}',
     b'{"type":"__class__"}', b'{"type":"ping","id":NaN}', b'{"type":"ping","type":"ping"}', b"\xff\xfe",
     b'{"type":"ping","id":"\\u0000"}', b'{"type":"ping","id":"\\ud800"}', b"[" * 500 + b"]" * 500],
)  # fmt: skip
def test_nonsense_ends_the_socket(raw: bytes) -> None:
    [close] = say(watching(), raw)
    assert isinstance(close, Close)
    assert close.code == CloseCode.BAD_FRAME


def test_a_frame_over_16_kib_ends_the_socket() -> None:
    [close] = say(watching(), {"type": "ping", "id": "x" * 16_384})
    assert isinstance(close, Close)
    assert close.code == CloseCode.TOO_LONG


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"type": "hold", "seats": ["A1"], "price": 1}, "price"),
        ({"type": "hold", "seats": ["A1"], "user_id": "bob"}, "user_id"),
        ({"type": "hold", "seats": "A1"}, "seats"),
        ({"type": "hold", "seats": []}, "seats"),
        ({"type": "hold", "seats": [1]}, "seats"),
        ({"type": "hold", "seats": ["A" * 65]}, "seats"),
        ({"type": "hold", "seats": ["A1"] * 51}, "seats"),
        ({"type": "hold"}, "seats"),
        ({"type": "hold", "seats": ["A1"], "best_available": {"count": 1}}, "seats"),
        ({"type": "hold", "best_available": {"count": 0}}, "best_available"),
        ({"type": "hold", "best_available": {"count": True}}, "best_available"),
        ({"type": "hold", "best_available": {"count": 2, "vip": True}}, "best_available"),
        ({"type": "hold", "best_available": {}}, "best_available"),
        ({"type": "hold", "best_available": {"count": 2}, "hold_id": HOLD_ID}, "hold_id"),
        ({"type": "hold", "seats": ["A1"], "key": ""}, "key"),
        ({"type": "hold", "seats": ["A1"], "key": "é"}, "key"),
        ({"type": "hold", "seats": ["A1"], "ticket_types": {"A1": 5}}, "ticket_types"),
        ({"type": "change", "add": ["A1"]}, "hold_id"),
        ({"type": "change", "hold_id": HOLD_ID}, "add"),
        ({"type": "renew"}, "hold_id"),
        ({"type": "release", "hold_id": 5}, "hold_id"),
        ({"type": "auth"}, "token"),
        ({"type": "auth", "token": ""}, "token"),
        ({"type": "ping", "extra": 1}, "extra"),
    ],
)
def test_a_mistake_in_a_field_is_answered_and_named(said: dict[str, Any], path: str) -> None:
    told = answer(say(signed_in(), {**said, "id": "c-1"}))
    assert (told["id"], told["ok"], told["status"], told["code"]) == ("c-1", False, 422, "validation_failed")
    assert path in [error["path"] for error in told["errors"]]


@pytest.mark.parametrize("ref", [[], {}, True, 1.5, 2**60, "x" * 65])
def test_an_id_that_cannot_be_repeated_is_a_mistake(ref: object) -> None:
    told = answer(say(watching(), {"type": "ping", "id": ref}))
    assert (told["id"], told["status"]) == (None, 422)


def test_twenty_messages_a_second_are_fine_for_ever_and_bursts_of_forty() -> None:
    session = watching(rate_limited=True)
    for n in range(40):
        assert answer(say(session, {"type": "ping"}, START)) == {"type": "pong", "id": None}, n
    for n in range(1, 200):
        assert answer(say(session, {"type": "ping"}, START + n * 50)) == {"type": "pong", "id": None}, n


def test_more_messages_than_that_end_the_socket() -> None:
    session = watching(rate_limited=True)
    for _ in range(40):
        say(session, {"type": "ping"}, START)
    assert say(session, {"type": "ping"}, START) == [Close(CloseCode.TOO_MANY, "too many messages")]
    assert say(session, {"type": "ping"}, START + 60_000) == []


def test_without_rate_limits_nobody_counts() -> None:
    session = watching(rate_limited=False)
    assert all(answer(say(session, {"type": "ping"}, START)) for _ in range(1_000))


def test_an_expired_token_ends_the_socket() -> None:
    session = signed_in()
    assert session.check(ANA.expires_at - 1) == ()
    assert session.check(ANA.expires_at) == (Close(CloseCode.SIGNED_OUT, "token_expired"),)


def test_hostile_frames_never_raise_and_always_get_a_defined_answer() -> None:
    dice = random.Random(20_261_121)
    seeds: list[dict[str, Any]] = [
        {"type": "auth", "id": 1, "token": "t"},
        {"type": "hold", "id": 2, "key": "k", "seats": ["F7", "F8"], "ticket_types": {"F8": "child"}},
        {"type": "hold", "id": 3, "best_available": {"count": 4, "category": "standard", "accessible": False}},
        {"type": "change", "id": 4, "hold_id": HOLD_ID, "add": ["F9"], "remove": ["F7"]},
        {"type": "renew", "id": 5, "hold_id": HOLD_ID},
        {"type": "release", "id": 6, "hold_id": HOLD_ID},
        {"type": "resync", "id": 7},
        {"type": "ping", "id": 9},
    ]
    odd: list[Any] = [
        None,
        True,
        0,
        -1,
        2**63,
        1e308,
        "",
        "A1",
        "\u202e",
        "\x00",
        [],
        {},
        [[]],
        {"a": {}},
        ["A1", None],
    ]
    for _ in range(6_000):
        said = dict(dice.choice(seeds))
        for _ in range(dice.randint(0, 3)):
            said[dice.choice([*said, "extra", "__proto__", "type"])] = dice.choice(odd)
        raw = bytearray(orjson.dumps(said))
        for _ in range(dice.choice([0, 0, 0, 1, 2, 5])):
            cut = dice.randrange(len(raw) + 1)
            raw[cut : cut + dice.randint(0, 3)] = dice.randbytes(dice.randint(0, 3))
        session = signed_in() if dice.random() < 0.5 else watching()
        [action] = say(session, bytes(raw))
        assert isinstance(action, Send | Ask | Authenticate | Resync | Close), action
        if isinstance(action, Close):
            assert action.code in (CloseCode.BAD_FRAME, CloseCode.TOO_LONG)
