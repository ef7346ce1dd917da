"""The guide for partners says what is so: its code checks real signatures, its table names every kind of message."""

import re
from pathlib import Path
from typing import Any, get_args

from actors.runtime.clock import SystemClock
from server.partners.deliveries import PAUSES_S
from server.partners.news import Kind
from server.partners.signing import fresh_secret, shown, signed

GUIDE = (Path(__file__).parents[3] / "docs" / "WEBHOOKS.md").read_text()


def test_the_check_by_hand_accepts_ours_and_nothing_else() -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "def is_ours" in block)
    names: dict[str, Any] = {}
    exec(code, names)
    secret, now = fresh_secret(), SystemClock().now()
    headers = dict(signed("1", now, b"{}", [fresh_secret(), secret]))
    assert names["is_ours"](shown(secret), headers, b"{}")
    assert not names["is_ours"](shown(secret), headers, b"[]")
    assert not names["is_ours"](shown(fresh_secret()), headers, b"{}")
    assert not names["is_ours"](shown(secret), dict(signed("1", now - 600_000, b"{}", [secret])), b"{}")


def test_every_kind_of_message_has_its_row_and_the_pauses_are_those_that_are_made() -> None:
    rows = set(re.findall(r"^\| `([a-z.]+)` \|", GUIDE, re.MULTILINE))
    assert rows == {*get_args(Kind), "ping", "type"}  # the head of the table is a row too
    seconds = {"s": 1, "min": 60, "h": 3_600}
    told = GUIDE.split("tried again: after ")[1].split(", three days")[0]
    pauses = [int(number) * seconds[unit] for number, unit in re.findall(r"(\d+) (s|min|h)", told)]
    assert tuple(pauses) == PAUSES_S
