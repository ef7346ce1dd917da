"""Signatures as Standard Webhooks has them, so that partners find a library that checks them.

A message is signed over its id, its time and its bytes: nobody can change it, send it again much later, or put one
message's signature on another. While a secret is being replaced both sign, and one good signature is enough.
"""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from actors.seatmap.terms import Instant

SECRET_BYTES: Final = 32
PREFIX: Final = "whsec_"


def fresh_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def shown(secret: bytes) -> str:
    """A secret as partners write it down."""
    return f"{PREFIX}{b64encode(secret).decode()}"


def signed(message_id: str, now: Instant, body: bytes, keys: Iterable[bytes]) -> Mapping[str, str]:
    """The three headers that prove a message."""
    at = str(now // 1_000)
    content = b"%b.%b.%b" % (message_id.encode(), at.encode(), body)
    proofs = (f"v1,{b64encode(hmac.digest(key, content, sha256)).decode()}" for key in keys)
    return {"webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": " ".join(proofs)}
