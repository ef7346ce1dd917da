"""A provider between us and another one, which is down, or loses its answer after it has done what was asked."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from persistence.payments import Payment
from server.payments.provider import News, Order, Provider, ProviderDown, ProviderRefused, Script, Standing


@dataclass
class Moody:
    """`troubles` has for a call by its name what befalls the next ones: `down`, `lost` (done, not answered), `no`."""

    other: Provider
    troubles: dict[str, list[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    on_open: Callable[[Payment], Awaitable[None]] | None = None

    @property
    def name(self) -> str:
        return self.other.name

    @property
    def script(self) -> Script | None:
        return self.other.script

    def order_id(self, payment: Payment) -> str:
        return self.other.order_id(payment)

    async def open(self, payment: Payment) -> Order:
        order: Order = await self._call("open", self.other.open(payment))
        if self.on_open is not None:
            await self.on_open(payment)
        return order

    async def look(self, payment: Payment) -> Standing:
        standing: Standing = await self._call("look", self.other.look(payment))
        return standing

    async def capture(self, payment: Payment, key: str) -> None:
        await self._call("capture", self.other.capture(payment, key))

    async def void(self, payment: Payment, key: str) -> None:
        await self._call("void", self.other.void(payment, key))

    async def refund(self, payment: Payment, refund_id: str, amount: int, key: str) -> None:
        await self._call("refund", self.other.refund(payment, refund_id, amount, key))

    def is_proof(self, payment: Payment, provider_payment_id: str, signature: str) -> bool:
        return self.other.is_proof(payment, provider_payment_id, signature)

    def read_news(self, raw: bytes, headers: Mapping[str, str]) -> News:
        return self.other.read_news(raw, headers)

    async def close(self) -> None:
        await self.other.close()

    async def _call(self, name: str, call: Awaitable[Any]) -> Any:
        self.calls.append(name)
        waiting = self.troubles.get(name)
        trouble = waiting.pop(0) if waiting else ""
        if trouble in ("down", "no"):
            call.close()  # type: ignore[attr-defined]
            raise ProviderDown("500") if trouble == "down" else ProviderRefused("no")
        answer = await call
        if trouble == "lost":
            raise ProviderDown("timed out")
        return answer
