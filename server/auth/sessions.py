"""Sessions: signing in, staying signed in, and really signing out.

A session is a family of refresh tokens, each good for one exchange. Ending it stops its access tokens at once.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from actors.ids import mint
from actors.ports import Clock
from persistence import accounts
from persistence.accounts import Account, Rotation
from persistence.database import Pool
from server.auth.tokens import ACCESS_MS, Tokens
from server.errors import Problem, unauthorized

REFRESH_MS: Final = 7 * 24 * 3_600_000
SESSION_MS: Final = 90 * 24 * 3_600_000
_AGENT_LENGTH_MAX: Final = 200
_REFRESH_LENGTH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Pair:
    """What a client gets to prove who it is."""

    account: Account
    session_id: str
    access_token: str
    refresh_token: str
    refresh_seconds: int


class Sessions:
    def __init__(self, pool: Pool, tokens: Tokens, clock: Clock) -> None:
        self._pool = pool
        self._tokens = tokens
        self._clock = clock
        self._exchanging: set[bytes] = set()

    async def restore(self) -> None:
        """Learn which sessions ended while their access tokens may still be about."""
        self._tokens.revoke(await accounts.revoked_since(self._pool, self._clock.now() - ACCESS_MS))

    async def begin(self, account: Account, agent: str) -> Pair:
        now = self._clock.now()
        refresh_token = secrets.token_urlsafe(32)
        session = accounts.NewSession(
            id=mint(now),
            account_id=account.id,
            agent=agent[:_AGENT_LENGTH_MAX],
            refresh_digest=_digest(refresh_token),
            created_at=now,
            refresh_until=now + REFRESH_MS,
            ends_at=now + SESSION_MS,
        )
        await accounts.open_session(self._pool, session)
        return self._pair(account, session.id, refresh_token, REFRESH_MS)

    async def refresh(self, refresh_token: str) -> Pair:
        """A new pair for an unused refresh token. 401 refresh_invalid, refresh_expired or refresh_reused.

        Using a token twice ends its session, unless the second use arrived while the first was still going on: then
        one of them wins and the session lives.
        """
        arrived_at = self._clock.now()
        used, fresh = _digest(refresh_token[:_REFRESH_LENGTH_MAX]), secrets.token_urlsafe(32)
        if used in self._exchanging:
            raise _reused()
        self._exchanging.add(used)
        try:
            async with self._pool.acquire() as connection:
                rotated = await accounts.rotate(
                    connection,
                    used=used,
                    fresh=_digest(fresh),
                    arrived_at=arrived_at,
                    refresh_until=arrived_at + REFRESH_MS,
                )
        finally:
            self._exchanging.discard(used)
        match rotated.outcome:
            case Rotation.WON:
                assert rotated.account is not None
                return self._pair(rotated.account, rotated.session_id, fresh, rotated.refresh_until - arrived_at)
            case Rotation.REUSED:
                self._tokens.revoke([rotated.session_id])
                raise _reused()
            case Rotation.RACED:
                raise _reused()
            case Rotation.EXPIRED:
                raise unauthorized("refresh_expired", "Your session has ended. Sign in again.")
            case Rotation.UNKNOWN:
                raise unauthorized("refresh_invalid", "This refresh token is not valid here.")

    async def end(self, session_id: str) -> None:
        await accounts.revoke(self._pool, [session_id], self._clock.now())
        self._tokens.revoke([session_id])

    async def end_all(self, account_id: str) -> None:
        self._tokens.revoke(await accounts.revoke_all(self._pool, account_id, self._clock.now()))

    async def end_by_refresh_token(self, refresh_token: str) -> None:
        """Sign out somebody whose access token has expired; an unknown token changes nothing."""
        session_id = await accounts.session_of(self._pool, _digest(refresh_token[:_REFRESH_LENGTH_MAX]))
        if session_id is not None:
            await self.end(session_id)

    def _pair(self, account: Account, session_id: str, refresh_token: str, refresh_ms: int) -> Pair:
        access_token = self._tokens.issue(account.id, session_id, account.roles, account.theatre_ids)
        return Pair(account, session_id, access_token, refresh_token, refresh_ms // 1000)


def _digest(refresh_token: str) -> bytes:
    return sha256(refresh_token.encode("utf-8", "replace")).digest()


def _reused() -> Problem:
    return unauthorized("refresh_reused", "This refresh token was already used. Sign in again.")
