"""What schemathesis cannot know: fresh tokens for each case, and ids of things that exist."""

import os
import random
from typing import Any

import schemathesis

from actors.ids import mint
from actors.runtime.clock import SystemClock
from server.auth.tokens import Tokens
from tests.contract.world import WORLD, World
from tests.server.house import SECRET

_world = World.read(os.environ[WORLD])
_clock = SystemClock()
_tokens = Tokens((SECRET,), _clock)
_dice = random.Random(7)


@schemathesis.auth(refresh_interval=None)
class Administrator:
    """A session of its own for each case: some operations end theirs."""

    def get(self, case: Any, context: Any) -> str:
        # Whoever asks to be erased is a stranger, or nobody would be left to ask the rest.
        erased = case.operation.method.upper() == "DELETE" and case.operation.path.endswith("/me")
        account_id = mint(_clock.now()) if erased else _world.account_id
        return _tokens.issue(account_id, mint(_clock.now()), ("admin",), ())

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Where what was made up is acceptable, let most ids be of things that exist; and never wait for news."""
    if case.operation.path.endswith("/events"):
        case.query = {"wait": 0, **(case.query or {})}
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    _lead_somewhere(case.path_parameters)
    _lead_somewhere(case.query)
    _lead_somewhere(case.body)


def _lead_somewhere(values: Any) -> None:
    if isinstance(values, dict):
        for name in values.keys() & _world.ids.keys():
            if _dice.random() < 0.7:
                values[name] = _world.ids[name]
