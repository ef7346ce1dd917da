"""Where payment providers tell us that something has happened.

Only the signature over the bytes as they came is believed, and of what is signed only which payment it is about. That
is kept with a job in one transaction before the answer, so no news is lost, and none is worked twice.
"""

from typing import Final, Literal

import structlog
from aiohttp import web
from typing_extensions import TypedDict

from persistence import jobs, payments
from persistence.jobs import Job
from server.errors import Problem
from server.keys import CLOCK, JOBS, POOL, REQUEST_ID, TILL
from server.operations import PUBLIC, Operation
from server.payments.provider import BadSignature, News
from server.requests import read_bytes
from server.responses import answer

NEWS_BYTES_MAX: Final = 64 * 1024
_log: Final = structlog.get_logger("marquee.payments")


class Received(TypedDict):
    """It need not be sent again."""

    received: Literal[True]


async def hear(request: web.Request) -> web.Response:
    """News of a payment. Said twice it is answered twice and worked once."""
    name = request.match_info["provider"]
    provider = request.app[TILL].providers.get(name)
    if provider is None:
        raise Problem(404, "not_found", "There is nothing at this address.")
    raw = await read_bytes(request)
    if len(raw) > NEWS_BYTES_MAX:
        raise web.HTTPRequestEntityTooLarge(NEWS_BYTES_MAX, len(raw))
    try:
        news = provider.read_news(raw, request.headers)
    except BadSignature as why:
        _log.warning("news_refused", provider=name, reason=str(why), request_id=request[REQUEST_ID])
        raise Problem(400, "bad_signature", "The provider did not sign this.") from None
    if await _keep(request.app, name, news):
        request.app[JOBS].wake()
    return answer({"received": True})


async def _keep(app: web.Application, provider: str, news: News) -> bool:
    """Whether there is something to do about it."""
    now = app[CLOCK].now()
    async with app[POOL].acquire() as connection, connection.transaction():
        is_new = await payments.keep_news(connection, provider, news.event_id, news.payment_id, news.order_id, now)
        if not is_new or not (news.payment_id or news.order_id):
            return False
        told = {
            "provider": provider,
            "payment_id": news.payment_id,
            "order_id": news.order_id,
            "received_at": now,
        }
        await jobs.put(connection, [Job("payment_news", f"news:{provider}:{news.event_id}", None, told)])
    return True


OPERATIONS: Final = (
    Operation(
        "POST", "/api/v1/payments/webhook/{provider}", hear, "News of a payment from its provider, signed.",
        access=PUBLIC, answers={200: Received}, problems=("bad_signature", "not_found", "body_too_large"),
    ),
)  # fmt: skip
