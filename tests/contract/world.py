"""What the attacker is told about the house: who it may be, and ids that lead somewhere."""

import json
from dataclasses import asdict, dataclass

WORLD = "CONTRACT_WORLD"
"""The variable in which the attacker's process finds it."""


@dataclass(frozen=True)
class World:
    account_id: str
    theatre_id: str
    ids: dict[str, str]

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "World":
        return cls(**json.loads(text))
