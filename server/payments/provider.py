"""What the till needs of a payment provider, and the words in which every provider's books are read.

Amounts are minor units of their currency, whatever the provider counts in. Nobody is believed because they said so:
news only names a payment, and what is true of it is what `look` finds in the provider's books.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from persistence.payments import Payment


class ProviderDown(Exception):
    """The provider did not answer, or not with an answer. Whether it did what was asked, only its books know."""


class ProviderRefused(Exception):
    """A definite no: nothing was done, and asking again in the same way cannot help."""


class BadSignature(Exception):
    """The provider did not sign this."""


class Stale(BadSignature):
    """The provider signed it too long ago: somebody may have kept it."""


class Stage(StrEnum):
    """How far the money of a payment has come."""

    OPEN = "open"
    FAILED = "failed"
    """Refused for now. Most providers let the customer try again with the same order."""

    AUTHORISED = "authorised"
    CAPTURED = "captured"
    VOIDED = "voided"
    """Nothing was taken and nothing will be."""


@dataclass(frozen=True, slots=True)
class Script:
    """The provider's own script, which takes the money in our page: the customer's card is never seen by this house.

    `driver` is the file of ours that calls it. `policy` is what the page must allow for it, by directive of its
    Content-Security-Policy.
    """

    source: str
    driver: str
    policy: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Order:
    """A payment as its provider opened it.

    The customer pays at `checkout_url`, or in a page of the client's own that has the provider's script,
    `client_secret` and `public_key`.
    """

    order_id: str
    checkout_url: str
    client_secret: str | None = None
    public_key: str | None = None


def pay_path(payment: Payment) -> str:
    """Our page with the provider's script for this payment."""
    return f"/pay/{payment.id}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the provider's books say about a payment.

    `amount` is what was really authorised or captured. `refunds` has what went back, by the refund id that we gave.
    """

    stage: Stage
    amount: int
    currency: str
    provider_payment_id: str = ""
    refunds: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def is_money(self) -> bool:
        return self.stage in (Stage.AUTHORISED, Stage.CAPTURED)


@dataclass(frozen=True, slots=True)
class News:
    """A message of the provider, read: its id, and which payment it is about, if any, by our id or by the order's."""

    event_id: str
    payment_id: str = ""
    order_id: str = ""


class Provider(Protocol):
    """Each call may be repeated: `key` and the ids that we give make the second one the same as the first.

    All of them may raise ProviderDown; those that change something, ProviderRefused.
    """

    @property
    def name(self) -> str: ...

    @property
    def script(self) -> Script | None:
        """None where the whole page is the provider's."""
        ...

    def order_id(self, payment: Payment) -> str:
        """What the order of a payment is called where that is known beforehand, else empty."""
        ...

    async def open(self, payment: Payment) -> Order:
        """The order for a payment, made now unless it is there already."""
        ...

    async def look(self, payment: Payment) -> Standing: ...

    async def capture(self, payment: Payment, key: str) -> None:
        """Take all of what is authorised."""
        ...

    async def void(self, payment: Payment, key: str) -> None:
        """Let an authorisation go, or close an order that nobody has paid."""
        ...

    async def refund(self, payment: Payment, refund_id: str, amount: int, key: str) -> None:
        """Give back some of what was captured."""
        ...

    def is_proof(self, payment: Payment, provider_payment_id: str, signature: str) -> bool:
        """Whether a customer's proof of payment was signed by the provider."""
        ...

    def read_news(self, raw: bytes, headers: Mapping[str, str]) -> News:
        """A webhook's body, bytes as they came. BadSignature, Stale."""
        ...

    async def close(self) -> None: ...
