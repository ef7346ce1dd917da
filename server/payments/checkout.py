"""The pages where bookings are paid. Anybody who has the address may pay.

The sandbox's needs no script: buttons of one form, with which its customer pays, pays late, wrongly, or is refused, and
the browser goes back to the booking. Stripe and Razorpay have scripts for a page of ours, and no other page may run
them.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from aiohttp import hdrs, web
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from actors.ids import is_uuid
from actors.seatmap.state import BookingStatus
from persistence import bookings
from persistence.bookings import StoredBooking
from persistence.payments import Payment
from server.errors import RETRY_SECONDS, Problem
from server.keys import POOL, SANDBOX, SANDBOX_CALLS, TILL
from server.middleware import CONTENT_POLICY, OPENER_POLICY, page_policy
from server.notify.speech import Speech, speech_for
from server.payments.calls import SandboxCalls, origin_of
from server.payments.provider import ProviderDown, Stage, Standing
from server.payments.sandbox import Sandbox, payment_of
from server.requests import read_bytes

FOLDER: Final = Path(__file__).parent
FORM: Final = "application/x-www-form-urlencoded"
FORM_FIELDS_MAX: Final = 8
CALLS_MAX: Final = 5
SECONDS_MAX: Final = 3_600
AMOUNT_MAX: Final = 10**12
_PAYABLE: Final = (Stage.OPEN, Stage.FAILED)
_UNPAID: Final = BookingStatus.PENDING_PAYMENT.value


async def show(request: web.Request) -> web.Response:
    """What is bought and what it costs, with everything that can happen to the payment."""
    if is_uuid(payment_id := request.match_info["order_id"]):
        return await _card(request, payment_id)
    sandbox, payment, booked = await _order(request)
    stage = (await sandbox.look(payment)).stage
    facts = _facts(request, payment, booked)
    return _page("checkout.jinja", facts, open=stage in _PAYABLE, refused=stage is Stage.FAILED)


async def _card(request: web.Request, payment_id: str) -> web.Response:
    """A page of ours with the provider's script, and the only one that may run it."""
    till = request.app[TILL]
    payment = await till.payment(payment_id)
    booked = await bookings.booking(request.app[POOL], payment.booking_id) if payment else None
    provider = till.providers.get(payment.provider) if payment else None
    script = provider.script if provider else None
    if payment is None or booked is None or provider is None or script is None:
        raise _nothing()
    order, unreachable = None, False
    try:
        if booked.status == _UNPAID and (await provider.look(payment)).stage in _PAYABLE:
            order = await provider.open(payment)
    except ProviderDown:
        unreachable = True
    facts = _facts(request, payment, booked)
    response = _page(
        "card.jinja", facts, open=order is not None, unreachable=unreachable, order=order, script=script,
        currency=payment.currency,
    )  # fmt: skip
    response.headers[CONTENT_POLICY] = page_policy("", script.policy)
    response.headers[OPENER_POLICY] = "same-origin-allow-popups"  # banks ask in windows of their own
    if unreachable:
        response.set_status(503)
        response.headers[hdrs.RETRY_AFTER] = str(RETRY_SECONDS)
    return response


async def act(request: web.Request) -> web.Response:
    """One of the buttons. Then the browser goes on to the booking, or sees the page again when the card is refused."""
    sandbox, payment, _ = await _order(request)
    form = await _form(request)
    calls, origin = _number(form, "calls", 1, CALLS_MAX), origin_of(request)
    wire = request.app[SANDBOX_CALLS]
    match form.get("deed"):
        case "pay":
            await _tell(wire, await sandbox.pay(payment.id), payment, calls, origin)
        case "other":
            amount = _number(form, "amount", payment.amount, AMOUNT_MAX)
            await _tell(wire, await sandbox.pay(payment.id, amount), payment, calls, origin)
        case "later":
            await wire.pay_later(payment.id, _number(form, "seconds", 10, SECONDS_MAX), calls, origin)
        case "refuse":
            await _tell(wire, await sandbox.refuse(payment.id), payment, calls, origin)
            return _go(f"/pay/{payment.provider_order_id}")
        case _:
            raise Problem(400, "malformed_request", "None of the buttons was pressed.")
    return _go(_booking(payment))


ROUTES: Final = (web.get("/pay/{order_id}", show), web.post("/pay/{order_id}", act))


async def _order(request: web.Request) -> tuple[Sandbox, Payment, StoredBooking]:
    sandbox = request.app.get(SANDBOX)
    payment = await request.app[TILL].payment(payment_of(request.match_info["order_id"])) if sandbox else None
    booked = await bookings.booking(request.app[POOL], payment.booking_id) if payment else None
    if sandbox is None or payment is None or booked is None or payment.provider != sandbox.name:
        raise _nothing()
    return sandbox, payment, booked


def _nothing() -> Problem:
    return Problem(404, "not_found", "There is nothing at this address.")


def _facts(request: web.Request, payment: Payment, booked: StoredBooking) -> dict[str, Any]:
    """What every such page says."""
    speech = speech_for(_language(request))
    return {
        "words": _words()[speech.language if speech.language in _words() else "en"],
        "language": speech.language,
        "amount": speech.money(payment.amount, payment.currency),
        "minor": payment.amount,
        "order_id": payment.provider_order_id,
        "back": _booking(payment),
        "title": booked.showtime.movie_title,
        "when": _when(speech, booked),
        "where": f"{booked.showtime.theatre_name}, {booked.showtime.screen_name}",
        "seats": speech.listed([line.seat for line in booked.lines]),
        "reference": booked.reference,
    }


def _page(template: str, facts: Mapping[str, Any], **more: Any) -> web.Response:
    return web.Response(text=_template(template).render(**facts, **more), content_type="text/html")


async def _tell(calls: SandboxCalls, standing: Standing | None, payment: Payment, times: int, origin: str) -> None:
    """What became of it. An order that was closed meanwhile is no news."""
    if standing is not None and standing.stage is not Stage.VOIDED:
        await calls.announce(payment.id, f"payment.{standing.stage}", times, origin)


async def _form(request: web.Request) -> dict[str, str]:
    if request.content_type != FORM:
        raise Problem(415, "unsupported_media_type", f"The body must be {FORM}.")
    try:
        fields = parse_qs((await read_bytes(request)).decode(), strict_parsing=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        raise Problem(400, "malformed_request", "The form cannot be read.") from None
    return {name: values[-1] for name, values in fields.items()}


def _number(form: dict[str, str], name: str, usual: int, most: int) -> int:
    """A whole number of a form; what is no such number is the usual one."""
    text = form.get(name, "")
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) <= 15 else usual


def _go(path: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: path})


def _booking(payment: Payment) -> str:
    return f"/bookings/{payment.booking_id}"


def _when(speech: Speech, booked: StoredBooking) -> str:
    start = booked.showtime.local_start
    return f"{speech.day(start)}, {speech.time(start)}"


def _language(request: web.Request) -> str:
    """The first language that the browser wants."""
    return request.headers.get(hdrs.ACCEPT_LANGUAGE, "en").split(",")[0].split(";")[0].strip()[:35]


@cache
def _words() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((FOLDER / "checkout.json").read_text("utf-8"))
    return found


@cache
def _template(name: str) -> Template:
    shelf = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return shelf.get_template(name)
