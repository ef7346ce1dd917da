"""One-time secrets that are made from the key of the job that sends them, so that they stand in no row.

Whoever reads the tables sees keys and digests; who holds the house's secret can make the same token or code once more
when a letter has to be sent again.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

CODE_DIGITS: Final = 6


def token_of(secret: str, job_key: str) -> str:
    """What a letter's link carries: 256 bits."""
    return urlsafe_b64encode(_made("letter token", secret, job_key)).rstrip(b"=").decode()


def code_of(secret: str, job_key: str) -> str:
    """What a text carries: six digits."""
    number = int.from_bytes(_made("text code", secret, job_key)[:8]) % 10**CODE_DIGITS
    return f"{number:0{CODE_DIGITS}}"


def digest_of(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _made(purpose: str, secret: str, job_key: str) -> bytes:
    return hmac.digest(secret.encode(), f"{purpose}\0{job_key}".encode(), "sha256")
