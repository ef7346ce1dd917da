"""Money that changes hands at the theatre: the staff says that it is there, and gives it back out of the same drawer.

A provider like the others, so that such a payment has its postings, its refunds and its place in every report. Nobody
but the staff can begin one, and it has no news to tell.
"""

from collections.abc import Mapping
from typing import Final

from persistence.payments import Payment
from server.payments.provider import BadSignature, News, Order, Stage, Standing

NAME: Final = "by_hand"


class ByHand:
    name = NAME
    script = None

    def order_id(self, payment: Payment) -> str:
        return payment.id

    async def open(self, payment: Payment) -> Order:
        return Order(payment.provider_order_id, checkout_url="")

    async def look(self, payment: Payment) -> Standing:
        """There from the first moment. What went back is in the ledger, which takes each refund once."""
        return Standing(Stage.CAPTURED, payment.amount, payment.currency, payment.id)

    async def capture(self, payment: Payment, key: str) -> None:
        """Nothing is left to take."""

    async def void(self, payment: Payment, key: str) -> None:
        """Nothing is open."""

    async def refund(self, payment: Payment, refund_id: str, amount: int, key: str) -> None:
        """The drawer is open."""

    def is_proof(self, payment: Payment, provider_payment_id: str, signature: str) -> bool:
        return False

    def read_news(self, raw: bytes, headers: Mapping[str, str]) -> News:
        raise BadSignature("nobody signs for money in a drawer")

    async def close(self) -> None:
        """Nothing to close."""
