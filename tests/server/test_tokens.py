"""Access tokens: only what we signed, for this, of this kind, now, and since nothing changed."""

import base64
import random
from typing import Any

import jwt
import orjson
import pytest

from actors.ids import mint
from actors.runtime.clock import ManualClock
from server.auth.tokens import ACCESS_MS, AUDIENCE, ISSUER, TYPE, Tokens, key_id
from server.config import SettingsRefused, load
from server.errors import Problem

NOW = 1_790_000_000_000
OLD, NEW = "the-secret-of-last-year," * 3, "the-secret-of-this-year," * 3
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=!"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def tokens(clock: ManualClock) -> Tokens:
    return Tokens((NEW,), clock)


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says, and what is wrong with this one. None leaves a claim out."""
    good = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": mint(NOW), "sid": mint(NOW), "jti": mint(NOW), "iat": NOW // 1000,
        "exp": (NOW + ACCESS_MS) // 1000, "roles": ["customer"], "theatres": [], "grants": 1,
    }  # fmt: skip
    return {name: claim for name, claim in (good | changes).items() if claim is not None}


def signed(said: dict[str, Any], secret: str = NEW, algorithm: str = "HS256", **header: Any) -> str:
    head = {name: value for name, value in ({"kid": key_id(NEW), "typ": TYPE} | header).items() if value is not None}
    return jwt.encode(said, secret, algorithm=algorithm, headers=head)


def refusal(tokens: Tokens, token: str) -> str:
    with pytest.raises(Problem) as refused:
        tokens.verify_token(token)
    assert refused.value.status == 401
    return refused.value.code


def test_the_tokens_of_these_tests_are_good_ones(tokens: Tokens) -> None:
    said = claims()
    assert tokens.verify_token(signed(said)).account_id == said["sub"]


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"}, {"iss": None}, {"aud": "another"}, {"aud": None}, {"sub": None}, {"sub": "nobody"},
        {"sid": None}, {"jti": None}, {"iat": None}, {"exp": None}, {"exp": "soon"}, {"roles": None},
        {"roles": ["emperor"]}, {"roles": 7}, {"theatres": None}, {"grants": None}, {"grants": "many"},
    ],
)  # fmt: skip
def test_a_token_that_says_something_else_is_refused(tokens: Tokens, changes: dict[str, Any]) -> None:
    assert refusal(tokens, signed(claims(**changes))) == "auth_required"


@pytest.mark.parametrize(
    ("algorithm", "header"),
    [
        ("HS512", {}), ("HS384", {}), ("HS256", {"typ": "JWT"}), ("HS256", {"typ": "rt+jwt"}), ("HS256", {"typ": None}),
        ("HS256", {"kid": None}), ("HS256", {"kid": "other"}), ("HS256", {"kid": 1}), ("HS256", {"crit": ["exp"]}),
        ("HS256", {"jku": "https://evil.example/keys"}), ("HS256", {"jwk": {"kty": "oct"}}),
    ],
)  # fmt: skip
def test_a_token_of_another_kind_is_refused(tokens: Tokens, algorithm: str, header: dict[str, Any]) -> None:
    try:
        token = signed(claims(), algorithm=algorithm, **header)
    except jwt.InvalidTokenError:
        token = by_hand({"alg": algorithm, "typ": TYPE, "kid": key_id(NEW)} | header, claims(), "")
    assert refusal(tokens, token) == "auth_required"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "HS256", "RS256"])
def test_a_token_without_a_signature_is_refused(tokens: Tokens, algorithm: str | None) -> None:
    header = {"alg": algorithm, "typ": TYPE, "kid": key_id(NEW)}
    assert refusal(tokens, by_hand(header, claims(), "")) == "auth_required"


def by_hand(header: dict[str, Any], said: dict[str, Any], signature: str) -> str:
    parts = [base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in (header, said)]
    return ".".join([*parts, signature])


def test_of_two_thousand_mutated_tokens_none_is_accepted(tokens: Tokens) -> None:
    token, dice = signed(claims()), random.Random(7)
    mutants = {token + "=", token[:-1], token.upper(), "", "..", token.replace(".", ""), "Bearer " + token}
    while len(mutants) < 2_000:
        place = dice.randrange(len(token))
        kind = dice.randrange(4)
        if kind < 2:  # another character, or one more
            mutants.add(token[:place] + dice.choice(ALPHABET) + token[place + kind :])
        elif kind == 2:  # one bit of one part, encoded again as it should be
            mutants.add(flip(token, dice))
        else:  # a piece left out
            mutants.add(token[:place] + token[place + dice.randrange(1, 20) :])
    assert tokens.verify_token(token)
    for mutant in mutants - {token}:
        assert refusal(tokens, mutant) == "auth_required"


def flip(token: str, dice: random.Random) -> str:
    parts = token.split(".")
    number = dice.randrange(3)
    raw = bytearray(base64.urlsafe_b64decode(parts[number] + "=="))
    raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    parts[number] = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return ".".join(parts)


def test_a_new_secret_signs_and_the_old_one_still_verifies(clock: ManualClock) -> None:
    before = Tokens((OLD,), clock).issue(mint(NOW), mint(NOW), ["customer"], [])
    between = Tokens((NEW, OLD), clock)
    assert between.verify_token(before)
    fresh = between.issue(mint(NOW), mint(NOW), ["customer"], [])
    assert jwt.get_unverified_header(fresh)["kid"] == key_id(NEW)
    after = Tokens((NEW,), clock)
    assert after.verify_token(fresh)
    assert refusal(after, before) == "auth_required"


def test_a_key_does_not_verify_under_the_name_of_another(clock: ManualClock) -> None:
    both = Tokens((NEW, OLD), clock)
    assert refusal(both, signed(claims(), secret=OLD, kid=key_id(NEW))) == "auth_required"


def test_a_token_that_expired_is_refused_also_where_it_was_verified_before(tokens: Tokens, clock: ManualClock) -> None:
    token = signed(claims())
    tokens.verify_token(token)
    clock.advance(ACCESS_MS)
    assert refusal(tokens, token) == "token_expired"


def test_a_token_from_before_a_change_of_grants_is_refused_and_a_later_one_is_not(tokens: Tokens) -> None:
    account, session = mint(NOW), mint(NOW)
    early, late = (tokens.issue(account, session, ["customer"], [], grants) for grants in (1, 2))
    neighbour = tokens.issue(mint(NOW), mint(NOW), ["customer"], [], 1)
    for token in (early, neighbour):
        tokens.verify_token(token)
    heard: list[str] = []
    tokens.on_revoked(heard.append)
    tokens.outdate(account, 2, [session])
    assert heard == [session]
    assert refusal(tokens, early) == "token_expired"
    assert tokens.verify_token(late)
    assert tokens.verify_token(neighbour)


def test_old_secrets_are_a_setting_and_must_be_long_too(monkeypatch: pytest.MonkeyPatch) -> None:
    older = OLD[::-1]
    monkeypatch.setenv("MARQUEE_JWT_SECRET", NEW)
    monkeypatch.setenv("MARQUEE_JWT_OLD_SECRETS", f"{OLD} {older}")
    config = load()
    assert (config.jwt_secret, config.jwt_old_secrets) == (NEW, (OLD, older))
    assert OLD not in repr(config)
    monkeypatch.setenv("MARQUEE_JWT_OLD_SECRETS", "short")
    with pytest.raises(SettingsRefused, match="MARQUEE_JWT_OLD_SECRETS"):
        load()
