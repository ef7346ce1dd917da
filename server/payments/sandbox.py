"""The sandbox: a payment provider without a network, for development and demonstrations.

It keeps books of its own, signs what it says as real providers do, and is asked like one: nobody confirms a booking
on a client's word. Ids follow from the payment's, so that starting or paying twice is the same thing.
"""

import hmac
from hashlib import sha256
from typing import Final

from persistence import payments
from persistence.database import Pool
from persistence.payments import SandboxOrder

NAME: Final = "sandbox"


class Sandbox:
    def __init__(self, pool: Pool, secret: str) -> None:
        self._pool = pool
        self._secret = hmac.digest(secret.encode(), b"sandbox payments", "sha256")

    async def open(self, payment_id: str, amount: int, currency: str) -> SandboxOrder:
        """The order for a payment."""
        order = SandboxOrder(f"sbx_order_{payment_id}", payment_id, amount, currency, "created", "")
        await payments.put_order(self._pool, order)
        return order

    async def order(self, order_id: str) -> SandboxOrder | None:
        return await payments.order(self._pool, order_id)

    async def pay(self, payment_id: str, amount: int | None = None) -> SandboxOrder | None:
        """The customer pays; another `amount` than asked for is for trying out what happens then."""
        return await payments.settle_order(
            self._pool, f"sbx_order_{payment_id}", "succeeded", f"sbx_pay_{payment_id}", amount
        )

    async def fail(self, payment_id: str) -> SandboxOrder | None:
        """The customer's card is refused."""
        return await payments.settle_order(self._pool, f"sbx_order_{payment_id}", "failed", "", None)

    def sign(self, order: SandboxOrder) -> str:
        """What a client brings back as proof."""
        text = f"{order.order_id}|{order.provider_payment_id}"
        return hmac.new(self._secret, text.encode(), sha256).hexdigest()

    def is_signed(self, order: SandboxOrder, signature: str) -> bool:
        return hmac.compare_digest(self.sign(order).encode(), signature.encode())
