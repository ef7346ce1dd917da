"""Stripe's side of the network: a stand-in that keeps books of its own in a process of its own, and its customers."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp

SECRET_KEY = "sk_test_marquee"
WEBHOOK_SECRET = "whsec_only_for_tests"
SETTINGS = {
    "payment_provider": "stripe",
    "stripe_secret_key": SECRET_KEY,
    "stripe_webhook_secret": WEBHOOK_SECRET,
    "stripe_publishable_key": "pk_test_marquee",
}
GOOD_CARD, DECLINED_CARD = "4242424242424242", "4000000000000341"
START_SECONDS_MAX = 60


@contextmanager
def running() -> Iterator[str]:
    """The address of a running stand-in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    try:
        _wait_for(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def pay(session: aiohttp.ClientSession, url: str, order_id: str, card: str = GOOD_CARD) -> dict[str, Any]:
    """What the provider's script does in the customer's browser: the PaymentIntent, or an error."""

    async def ask(path: str, **fields: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {SECRET_KEY}"}
        async with session.post(f"{url}/v1/{path}", data=fields, headers=headers) as answer:
            told: dict[str, Any] = await answer.json()
            return told

    number = {"number": card, "exp_month": "12", "exp_year": "2040", "cvc": "123"}
    method = await ask("payment_methods", type="card", **{f"card[{k}]": v for k, v in number.items()})
    await ask(f"payment_intents/{order_id}", payment_method=method["id"])
    return await ask(f"payment_intents/{order_id}/confirm")


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "the stand-in has ended"
            assert time.monotonic() < deadline, "the stand-in does not start"
            time.sleep(0.05)
        else:
            return
