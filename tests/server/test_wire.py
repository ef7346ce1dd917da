"""What decisions look like outside: every refusal has a status and a plain sentence, every command an answer."""

import pytest

from actors.seatmap import commands
from actors.seatmap.refusals import Refusal, Refused
from actors.seatmap.rules import _RULES
from server import wire
from server.wire import refused, rfc3339


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_795_284_000_000, "2026-11-21T18:00:00Z"),
        (1_795_284_000_007, "2026-11-21T18:00:00.007Z"),
        (1_795_284_000_120, "2026-11-21T18:00:00.120Z"),
    ],
)
def test_times_are_rfc_3339_with_milliseconds_only_where_there_are_some(at: int, text: str) -> None:
    assert rfc3339(at) == text


def test_every_refusal_has_a_status_and_a_sentence() -> None:
    assert set(wire.REFUSALS) == set(Refusal)
    for status, sentence in wire.REFUSALS.values():
        assert status in (402, 404, 409, 410, 422)
        assert sentence.endswith((".", "}"))


def test_every_command_of_a_client_has_an_answer() -> None:
    of_ours = {commands.Expire, commands.TakeOverHold}
    assert set(_RULES) - of_ours == set(wire._ANSWERS)


@pytest.mark.parametrize(
    ("decision", "status", "detail"),
    [
        (Refused(Refusal.SEATS_UNAVAILABLE, {"F7": "held"}), 409, "Somebody was faster with F7."),
        (
            Refused(Refusal.SEATS_UNAVAILABLE, {"F7": "held", "F8": "sold", "F9": "held"}),
            409,
            "Somebody was faster with F7 and F9. F8 is already sold.",
        ),
        (Refused(Refusal.SEATS_UNAVAILABLE, {"F7": "asleep"}), 409, "F7 cannot be had."),
        (Refused(Refusal.SEAT_UNKNOWN, dict.fromkeys(["a1", "A01", " A1"], "unknown")), 422,
         "There is no seat a1, A01 and  A1 here."),
        (
            Refused(Refusal.HOLD_LIMIT, facts={"limit": 10, "held": 8}),
            409,
            "One customer can have 10 seats of a showtime; you already have 8.",
        ),
        (
            Refused(Refusal.BOOKING_NOT_PAYABLE, facts={"status": "pending_payment"}),
            409,
            "This booking is pending payment and cannot be paid.",
        ),
        (Refused(Refusal.ROW_UNKNOWN, facts={"row": "{seats}"}), 422, "There is no row {seats} here."),
        (Refused(Refusal.NO_BLOCK), 409, "There are not that many seats together; the most is ."),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_a_sentence_that_names_what_is_in_the_way(
    decision: Refused, status: int, detail: str
) -> None:
    answered, body = refused(decision)
    assert (answered, body["code"], body["detail"]) == (status, decision.refusal.value, detail)
    if decision.conflicts:
        assert {c["seat"]: c["reason"] for c in body["conflicts"]} == decision.conflicts


def test_the_facts_of_a_refusal_never_hide_the_status_of_its_answer() -> None:
    _, body = refused(Refused(Refusal.BOOKING_NOT_PAYABLE, facts={"status": "expired"}))
    assert body["booking_status"] == "expired"
    assert "status" not in body
