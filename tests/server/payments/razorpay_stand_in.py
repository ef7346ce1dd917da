"""Razorpay's side of the network, as far as we use it: orders, payments, captures and refunds over HTTP, with books.

It is written from Razorpay's documentation, not from our code: amounts and states are checked as the real one does, and
its checkout signs with the key's secret. `troubles` makes the next requests fail: `500`, `html`, `lost` (done, then the
connection ends) and `slow`.
"""

import asyncio
import hmac
import json
from base64 import b64decode
from hashlib import sha256
from itertools import count
from typing import Any

from aiohttp import web

KEY_ID, KEY_SECRET, WEBHOOK_SECRET = "rzp_test_marquee", "a secret of tests", "a secret for webhooks"


class RazorpayStandIn:
    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.replays: dict[str, str] = {}
        self.troubles: list[str] = []
        self._numbers = count(1)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._in_a_mood])
        app.add_routes(
            [
                web.post("/v1/orders", self._create_order),
                web.get("/v1/orders", self._list_orders),
                web.get("/v1/orders/{id}/payments", self._payments_of),
                web.post("/v1/payments/{id}/capture", self._capture),
                web.post("/v1/payments/{id}/refund", self._refund),
                web.get("/v1/payments/{id}/refunds", self._refunds_of),
            ]
        )
        return app

    def pay(self, order_id: str, *, status: str = "authorized", amount: int | None = None) -> dict[str, Any]:
        """The customer pays in the checkout; what comes back to the page, signed."""
        order = self.orders[order_id]
        payment = {
            "id": f"pay_{next(self._numbers):014}", "entity": "payment", "order_id": order_id,
            "amount": order["amount"] if amount is None else amount, "currency": order["currency"], "status": status,
            "captured": status == "captured", "amount_refunded": 0, "refund_status": None, "notes": [],
            "error_code": "BAD_REQUEST_ERROR" if status == "failed" else None,
        }  # fmt: skip
        self.payments[payment["id"]] = payment
        signed = f"{order_id}|{payment['id']}".encode()
        return {**payment, "signature": hmac.new(KEY_SECRET.encode(), signed, sha256).hexdigest()}

    def lapse(self, payment_id: str) -> None:
        """Nobody captured it in time: it goes back by itself."""
        self.payments[payment_id].update(status="refunded", refund_status="full")

    def message(self, payment: dict[str, Any], event: str = "payment.authorized") -> tuple[bytes, dict[str, str]]:
        """A webhook: body and headers."""
        told = {"entity": "event", "event": event, "payload": {"payment": {"entity": payment}}}
        raw = json.dumps(told).encode()
        signature = hmac.new(WEBHOOK_SECRET.encode(), raw, sha256).hexdigest()
        return raw, {"X-Razorpay-Signature": signature, "X-Razorpay-Event-Id": f"evt_{next(self._numbers)}"}

    @web.middleware
    async def _in_a_mood(self, request: web.Request, handler: Any) -> web.StreamResponse:
        user, _, secret = b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
        if (user, secret) != (KEY_ID, KEY_SECRET):
            return _no("Authentication failed", 401)
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "500":
            return web.json_response(
                {"error": {"code": "SERVER_ERROR", "description": "We are facing trouble"}}, status=500
            )
        if trouble == "html":
            return web.Response(text="<html>Bad gateway</html>", status=502, content_type="text/html")
        if trouble == "slow":
            await asyncio.Event().wait()
        response: web.StreamResponse = await handler(request)
        if trouble == "lost":
            assert request.transport is not None
            request.transport.abort()
        return response

    async def _create_order(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if not isinstance(asked["amount"], int) or asked["amount"] < 100:
            return _no("Order amount less than minimum amount allowed")
        if len(asked["receipt"]) > 40:
            return _no("The receipt may not be greater than 40 characters.")
        order = {
            "id": f"order_{next(self._numbers):014}", "entity": "order", "amount": asked["amount"],
            "currency": asked["currency"], "receipt": asked["receipt"], "status": "created", "notes": asked["notes"],
        }  # fmt: skip
        self.orders[order["id"]] = order
        return web.json_response(order)

    async def _list_orders(self, request: web.Request) -> web.Response:
        return _list([order for order in self.orders.values() if order["receipt"] == request.query["receipt"]])

    async def _payments_of(self, request: web.Request) -> web.Response:
        if request.match_info["id"] not in self.orders:
            return _no("The id provided does not exist")
        return _list([found for found in self.payments.values() if found["order_id"] == request.match_info["id"]])

    async def _capture(self, request: web.Request) -> web.Response:
        payment, asked = self.payments[request.match_info["id"]], await request.json()
        if payment["status"] != "authorized":
            return _no("This payment has already been captured")
        if (asked["amount"], asked["currency"]) != (payment["amount"], payment["currency"]):
            return _no("Capture amount must be equal to the amount authorized")
        payment.update(status="captured", captured=True)
        return web.json_response(payment)

    async def _refund(self, request: web.Request) -> web.Response:
        payment, asked = self.payments[request.match_info["id"]], await request.json()
        key = request.headers["X-Refund-Idempotency"]
        if key in self.replays:
            return web.json_response(self.refunds[self.replays[key]])
        if payment["status"] != "captured":
            return _no("The payment status should be captured for action to be taken")
        if payment["amount_refunded"] + asked["amount"] > payment["amount"]:
            return _no("The total refund amount is greater than the refund payment amount")
        refund = {
            "id": f"rfnd_{next(self._numbers):014}", "entity": "refund", "payment_id": payment["id"],
            "amount": asked["amount"], "currency": payment["currency"], "notes": asked["notes"], "status": "processed",
        }  # fmt: skip
        self.refunds[refund["id"]] = refund
        self.replays[key] = refund["id"]
        payment["amount_refunded"] += asked["amount"]
        if payment["amount_refunded"] == payment["amount"]:
            payment.update(status="refunded", refund_status="full")
        return web.json_response(refund)

    async def _refunds_of(self, request: web.Request) -> web.Response:
        return _list([found for found in self.refunds.values() if found["payment_id"] == request.match_info["id"]])


def _no(description: str, status: int = 400) -> web.Response:
    return web.json_response({"error": {"code": "BAD_REQUEST_ERROR", "description": description}}, status=status)


def _list(items: list[dict[str, Any]]) -> web.Response:
    return web.json_response({"entity": "collection", "count": len(items), "items": items})
