"""Sessions against a model: random lives of families of refresh tokens, and what each use of a token comes to."""

import random
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count

import pytest

from actors.ids import mint
from persistence import accounts, sessions
from persistence.accounts import Account
from persistence.database import Pool
from persistence.sessions import NewSession, Rotation

START = 4_000_000_000_000
"""The database notes itself when a token was used, so these lives are later than that."""

HOUR_MS = 3_600_000
WEEK_MS = 7 * 24 * HOUR_MS
SESSION_MS = 30 * 24 * HOUR_MS


@dataclass
class Family:
    """What must be true of one session."""

    id: str
    ends_at: int
    current: str
    expires_at: int
    used: list[str] = field(default_factory=list)
    alive: bool = True


class Life:
    """One account's sessions, in the database and in the model."""

    def __init__(self, pool: Pool, account_id: str, dice: random.Random) -> None:
        self.pool, self.account_id, self.dice = pool, account_id, dice
        self.now = START
        self.families: list[Family] = []
        self._names = count()

    async def open(self) -> None:
        token = self._token()
        family = Family(mint(self.now), self.now + SESSION_MS, token, self.now + WEEK_MS)
        new = NewSession(
            family.id, self.account_id, "", digest(token), self.now, family.expires_at, family.ends_at
        )  # fmt: skip
        assert await sessions.open_session(self.pool, new, None)
        self.families.append(family)

    async def exchange(self) -> None:
        """The newest token of a family is good once, while both live."""
        family = self.dice.choice(self.families)
        token, fresh = family.current, self._token()
        good = family.alive and self.now < family.expires_at
        rotated = await self._rotate(token, fresh)
        assert rotated.outcome is (Rotation.WON if good else Rotation.EXPIRED)
        if good:
            family.used.append(token)
            family.current, family.expires_at = fresh, min(self.now + WEEK_MS, family.ends_at)
            assert rotated.refresh_until == family.expires_at

    async def replay(self) -> None:
        """An old token kills its family."""
        family = self.dice.choice(self.families)
        if family.used:
            rotated = await self._rotate(self.dice.choice(family.used), self._token())
            assert rotated.outcome is Rotation.REUSED
            family.alive = False

    async def invent(self) -> None:
        assert (await self._rotate(self._token(), self._token())).outcome is Rotation.UNKNOWN

    async def leave(self) -> None:
        family = self.dice.choice(self.families)
        assert await sessions.revoke_own(self.pool, self.account_id, family.id, self.now) is family.alive
        assert not await sessions.revoke_own(self.pool, mint(self.now), family.id, self.now)
        family.alive = False

    async def leave_all_but_one(self) -> None:
        kept = self.dice.choice(self.families)
        ended = await sessions.revoke_all(self.pool, self.account_id, self.now, but=kept.id)
        assert sorted(ended) == sorted(family.id for family in self.families if family.alive and family is not kept)
        for family in self.families:
            family.alive = family.alive and family is kept

    async def wait(self) -> None:
        self.now += self.dice.choice((1, HOUR_MS, 2 * 24 * HOUR_MS, WEEK_MS))

    async def check(self) -> None:
        listed = await sessions.living(self.pool, self.account_id, self.now, None, 100)
        alive = [family for family in self.families if family.alive and self.now < family.expires_at]
        assert sorted((one.id, one.expires_at) for one in listed) == sorted(
            (family.id, family.expires_at) for family in alive
        )

    async def _rotate(self, used: str, fresh: str) -> sessions.Rotated:
        async with self.pool.acquire() as connection:
            return await sessions.rotate(
                connection,
                used=digest(used),
                fresh=digest(fresh),
                arrived_at=self.now,
                refresh_until=self.now + WEEK_MS,
            )

    def _token(self) -> str:
        return f"{self.account_id}:{next(self._names)}"


def digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


@pytest.mark.parametrize("seed", range(12))
async def test_a_random_life_of_sessions_agrees_with_the_model(pool: Pool, seed: int) -> None:
    account = Account(id=mint(START), roles=("customer",), created_at=START)
    await accounts.add(pool, account)
    life = Life(pool, account.id, random.Random(seed))
    await life.open()
    moves = [life.open, *[life.exchange] * 8, life.replay, life.invent, life.leave, life.leave_all_but_one, life.wait]
    for _ in range(60):
        await life.dice.choice(moves)()
        await life.check()
