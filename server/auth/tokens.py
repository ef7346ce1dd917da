"""Access tokens: short-lived, signed, verified once and then remembered until they expire or are revoked.

Verifying a signature costs as much as a whole request, so verified tokens are cached by their text. Expiry and
revocation are asked on every use.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import jwt
from jwt.utils import base64url_decode, base64url_encode

from actors.ids import mint
from actors.ports import Clock
from actors.seatmap.terms import Instant
from server.auth.identity import EVERYONE, Identity
from server.errors import Problem, unauthorized

ACCESS_MS: Final = 15 * 60_000
SECRET_BYTES_MIN: Final = 32
ISSUER: Final = "marquee"
AUDIENCE: Final = "marquee"
TYPE: Final = "at+jwt"
_ALGORITHM: Final = "HS256"
_TOKEN_LENGTH_MAX: Final = 8_192
_CACHED_MAX: Final = 20_000
_KNOWN_ROLES: Final = frozenset(EVERYONE)

Revoked = Callable[[str], None]


class Tokens:
    """Issues and verifies access tokens. The first secret signs; the others are from before, and still verify."""

    def __init__(self, secrets: Sequence[str], clock: Clock) -> None:
        assert secrets
        assert all(len(secret.encode()) >= SECRET_BYTES_MIN for secret in secrets)
        self._secrets = {key_id(secret): secret for secret in secrets}
        self._signing_key = key_id(secrets[0])
        self._clock = clock
        self._verified: dict[str, Identity] = {}
        self._revoked: dict[str, Instant] = {}
        self._outdated: dict[str, tuple[int, Instant]] = {}
        self._listeners: list[Revoked] = []

    def issue(
        self, account_id: str, session_id: str, roles: Iterable[str], theatres: Iterable[str], grants: int = 0
    ) -> str:
        """A token that says who, since when and what for; `grants` is how often that had changed by then."""
        now = self._clock.now()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": account_id,
            "sid": session_id,
            "jti": mint(now),
            "iat": now // 1000,
            "exp": (now + ACCESS_MS) // 1000,
            "roles": sorted(roles),
            "theatres": sorted(theatres),
            "grants": grants,
        }
        headers = {"kid": self._signing_key, "typ": TYPE}
        return jwt.encode(claims, self._secrets[self._signing_key], algorithm=_ALGORITHM, headers=headers)

    def verify_token(self, token: str) -> Identity:
        """The identity behind an access token. Problem 401 auth_required, token_expired or token_revoked."""
        identity = self._verified.get(token)
        if identity is None:
            identity = self._verify(token)
            if len(self._verified) >= _CACHED_MAX:
                self._drop_expired()
            self._verified[token] = identity
        if identity.expires_at <= self._clock.now():
            self._verified.pop(token, None)
            raise unauthorized("token_expired", "Your session needs to be refreshed.")
        if identity.session_id in self._revoked:
            raise unauthorized("token_revoked", "You have been signed out.")
        return identity

    def revoke(self, session_ids: Iterable[str]) -> None:
        """From now on no token of these sessions is accepted, and everybody who listens hears of it."""
        now = self._clock.now()
        for session_id in session_ids:
            self._revoked[session_id] = now
            for listener in tuple(self._listeners):
                listener(session_id)
        if len(self._revoked) > _CACHED_MAX:
            self._revoked = {ended: at for ended, at in self._revoked.items() if at + ACCESS_MS > now}

    def outdate(self, account_id: str, grants: int, session_ids: Iterable[str]) -> None:
        """What this account may do has changed: only tokens that know so are accepted, and its sockets come anew.

        The sessions themselves live on: refreshing brings a token with today's roles.
        """
        now = self._clock.now()
        self._outdated = {who: known for who, known in self._outdated.items() if known[1] + ACCESS_MS > now}
        self._outdated[account_id] = (grants, now)
        # Forgetting what was verified leaves the way of every request as short as it was.
        self._verified = {token: who for token, who in self._verified.items() if who.account_id != account_id}
        for session_id in session_ids:
            for listener in tuple(self._listeners):
                listener(session_id)

    def on_revoked(self, listener: Revoked) -> Callable[[], None]:
        """Call `listener(session_id)` at every revocation; returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _verify(self, token: str) -> Identity:
        try:
            _demand(len(token) <= _TOKEN_LENGTH_MAX)
            header = jwt.get_unverified_header(token)
            _demand(header.keys() == {"alg", "kid", "typ"} and header["typ"] == TYPE)
            claims = jwt.decode(
                token,
                self._secrets[header["kid"]],
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # Expiry is asked of our own clock, at every use and not only at the first.
                options={"require": ["exp", "iat", "sub", "jti"], "verify_exp": False, "verify_iat": False},
            )
            _demand(_is_canonical(token))
            identity = _identity(claims)
            outdated = self._outdated.get(identity.account_id)
            known = int(claims["grants"])
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, RecursionError):
            raise _not_accepted() from None
        if outdated is not None and known < outdated[0] and identity.session_id not in self._revoked:
            raise unauthorized("token_expired", "What you may do has changed. Refresh your session.")
        return identity

    def _drop_expired(self) -> None:
        now = self._clock.now()
        self._verified = {token: who for token, who in self._verified.items() if who.expires_at > now}
        if len(self._verified) >= _CACHED_MAX:
            self._verified.clear()


def _identity(claims: dict[str, Any]) -> Identity:
    roles = frozenset(claims["roles"])
    _demand(roles <= _KNOWN_ROLES)
    return Identity(
        account_id=str(UUID(claims["sub"])),
        session_id=str(UUID(claims["sid"])),
        roles=roles,
        theatres=frozenset(claims["theatres"]),
        expires_at=int(claims["exp"]) * 1000,
    )


def key_id(secret: str) -> str:
    """The name of a secret, which says nothing about it."""
    return sha256(b"marquee key id\0" + secret.encode()).hexdigest()[:12]


def _is_canonical(token: str) -> bool:
    """base64 has several spellings of the same bytes; only the one that we write is a token of ours."""
    signature = token.rpartition(".")[2].encode()
    return base64url_encode(base64url_decode(signature)) == signature


def _not_accepted() -> Problem:
    return unauthorized("auth_required", "This token is not valid here.")


def _demand(condition: bool) -> None:
    """An assertion about outside input, which must hold even where Python strips assertions."""
    if not condition:
        raise ValueError
