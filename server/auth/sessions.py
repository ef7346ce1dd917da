"""Sessions: signing in, staying signed in, and really signing out.

A session is a family of refresh tokens, each good for one exchange. Ending it stops its access tokens at once.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from actors.ids import mint
from actors.ports import Clock
from actors.seatmap.terms import Instant
from persistence import accounts, sessions
from persistence.accounts import Account
from persistence.database import Pool
from persistence.sessions import OpenSession, Rotation
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
        since = self._clock.now() - ACCESS_MS
        self._tokens.revoke(await sessions.revoked_since(self._pool, since))
        for account_id, grants in (await accounts.granted_since(self._pool, since)).items():
            self._tokens.outdate(account_id, grants, ())

    async def begin(self, account: Account, agent: str) -> Pair:
        """401 invalid_credentials when the account was blocked, erased or given another password meanwhile."""
        now = self._clock.now()
        refresh_token = secrets.token_urlsafe(32)
        session = sessions.NewSession(
            id=mint(now),
            account_id=account.id,
            agent=agent[:_AGENT_LENGTH_MAX],
            refresh_digest=_digest(refresh_token),
            created_at=now,
            refresh_until=now + REFRESH_MS,
            ends_at=now + SESSION_MS,
        )
        if not await sessions.open_session(self._pool, session, account.password_hash):
            raise not_matching()
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
                rotated = await sessions.rotate(
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
        await sessions.revoke(self._pool, [session_id], self._clock.now())
        self._tokens.revoke([session_id])

    async def living(self, account_id: str, after: tuple[Instant, str] | None, limit: int) -> list[OpenSession]:
        return await sessions.living(self._pool, account_id, self._clock.now(), after, limit)

    async def end_own(self, account_id: str, session_id: str) -> bool:
        """End one session of an account; False when it has none like that."""
        ended = await sessions.revoke_own(self._pool, account_id, session_id, self._clock.now())
        if ended:
            self._tokens.revoke([session_id])
        return ended

    async def end_all(self, account_id: str, *, but: str | None = None) -> None:
        self._tokens.revoke(await sessions.revoke_all(self._pool, account_id, self._clock.now(), but=but))

    async def outgrown(self, session_id: str) -> None:
        """A guest has become a member, who has a session of its own: the guest's is not continued.

        Its last access token lives on for its minutes, so that an open seat map need not notice.
        """
        await sessions.revoke(self._pool, [session_id], self._clock.now())

    async def regrant(self, account: Account) -> None:
        """What this account may do has just been changed to this: at once for everybody who acts for it."""
        if account.blocked or account.erased:
            await self.end_all(account.id)
        living = await sessions.of_account(self._pool, account.id)
        self._tokens.outdate(account.id, account.grants, living)

    async def end_by_refresh_token(self, refresh_token: str) -> None:
        """Sign out somebody whose access token has expired; an unknown token changes nothing."""
        session_id = await sessions.session_of(self._pool, _digest(refresh_token[:_REFRESH_LENGTH_MAX]))
        if session_id is not None:
            await self.end(session_id)

    def _pair(self, account: Account, session_id: str, refresh_token: str, refresh_ms: int) -> Pair:
        access_token = self._tokens.issue(account.id, session_id, account.roles, account.theatre_ids, account.grants)
        return Pair(account, session_id, access_token, refresh_token, refresh_ms // 1000)


def _digest(refresh_token: str) -> bytes:
    return sha256(refresh_token.encode("utf-8", "replace")).digest()


def not_matching() -> Problem:
    """One answer for an unknown address, a wrong password and a blocked account."""
    return unauthorized("invalid_credentials", "E-mail address and password do not match.")


def _reused() -> Problem:
    return unauthorized("refresh_reused", "This refresh token was already used. Sign in again.")
