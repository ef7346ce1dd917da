"""The sandbox's end of the wire: it pays later when its customer wants that, and calls our webhook over HTTP.

Its calls are jobs, so they outlive a restart, come late or not at all, and are repeated until they are heard, as a real
provider's are. They go to the socket on which the customer came in: nothing that a client sends names an address.
"""

from collections.abc import Mapping
from typing import Final

import aiohttp
from aiohttp import web

from actors.ids import mint
from actors.ports import Clock
from persistence import jobs
from persistence.database import Pool
from persistence.jobs import Job, StoredJob
from server.jobs.worker import Later, Work
from server.payments.sandbox import Sandbox

PATH: Final = "/api/v1/payments/webhook/sandbox"
CALL_SECONDS_MAX: Final = 5
TRIES_MAX: Final = 10
"""Then the news is lost, which the watch over every payment makes up for."""


class SandboxCalls:
    def __init__(self, sandbox: Sandbox, pool: Pool, clock: Clock) -> None:
        self._sandbox = sandbox
        self._pool = pool
        self._clock = clock

    def table(self) -> Mapping[str, Work]:
        return {"sandbox_payment": self.pay, "sandbox_call": self.call}

    async def pay_later(self, payment_id: str, seconds: int, calls: int, origin: str) -> None:
        """The customer's bank takes its time."""
        told = {"payment_id": payment_id, "calls": calls, "origin": origin}
        due_at = self._clock.now() + seconds * 1_000
        await jobs.put(
            self._pool, [Job("sandbox_payment", f"sandbox_payment:{payment_id}:{due_at}", None, told, due_at)]
        )

    async def announce(self, payment_id: str, kind: str, calls: int, origin: str) -> None:
        """Tell the house `calls` times over, all with one event id, that something happened to a payment."""
        event_id = f"evt_{mint(self._clock.now())}"
        told = {"payment_id": payment_id, "kind": kind, "event_id": event_id, "origin": origin}
        await jobs.put(
            self._pool, [Job("sandbox_call", f"sandbox_call:{event_id}:{n}", None, told) for n in range(calls)]
        )

    async def pay(self, job: StoredJob) -> None:
        told = job.payload
        await self._sandbox.pay(told["payment_id"])
        await self.announce(told["payment_id"], "payment.authorised", told["calls"], told["origin"])

    async def call(self, job: StoredJob) -> None:
        told = job.payload
        raw, headers = self._sandbox.message(told["event_id"], told["kind"], told["payment_id"])
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS_MAX)) as session:
                async with session.post(told["origin"] + PATH, data=raw, headers=headers) as answer:
                    heard = answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            heard = False
        if not heard and job.attempts < TRIES_MAX:
            raise Later(min(2**job.attempts, 60), counted=False)


def origin_of(request: web.Request) -> str:
    """The address of the socket that this request came in on."""
    transport = request.transport
    assert transport is not None
    host, port = transport.get_extra_info("sockname")[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
