"""Signatures, held to the library that partners would check them with."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from actors.runtime.clock import SystemClock
from server.partners.signing import fresh_secret, shown, signed

ID = "01970000-0000-7000-8000-000000000001"
MINUTE = 60_000


@given(st.dictionaries(st.text(), st.text()))
def test_the_public_library_accepts_what_was_signed(told: dict[str, str]) -> None:
    secret, body = fresh_secret(), orjson.dumps(told)
    headers = signed(ID, SystemClock().now(), body, [secret])
    assert Webhook(shown(secret)).verify(body, dict(headers)) == told


@pytest.mark.parametrize(
    "changed", [{"webhook-id": "another"}, {"webhook-timestamp": "1700000000"}, {"webhook-signature": "v1,AAAA"}]
)
def test_nothing_of_a_message_can_be_changed(changed: dict[str, str]) -> None:
    secret = fresh_secret()
    headers = {**signed(ID, SystemClock().now(), b"{}", [secret]), **changed}
    with pytest.raises(WebhookVerificationError):
        Webhook(shown(secret)).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(shown(secret)).verify(b"[]", dict(signed(ID, SystemClock().now(), b"{}", [secret])))


def test_a_message_from_long_ago_is_too_old() -> None:
    secret = fresh_secret()
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(shown(secret)).verify(b"{}", dict(signed(ID, SystemClock().now() - 10 * MINUTE, b"{}", [secret])))


def test_while_a_secret_is_replaced_either_of_the_two_proves_a_message() -> None:
    new, old, other = fresh_secret(), fresh_secret(), fresh_secret()
    headers = dict(signed(ID, SystemClock().now(), b"{}", [new, old]))
    assert Webhook(shown(new)).verify(b"{}", headers) == Webhook(shown(old)).verify(b"{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(shown(other)).verify(b"{}", headers)
