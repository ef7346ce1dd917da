"""The books after a storm, from outside: the provider's beside what the house answers and what letters say."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from tests.proofs.money_storm import Storm

BOOKED, RETURNED = "booking_confirmed", "refund_decided"
_LETTERS = {"confirmed": BOOKED, "returned": RETURNED, "cancelled": "booking_cancelled"}
"""How the Message-ID begins of the letter about an event."""


@dataclass(frozen=True)
class Sale:
    """A booking as staff see it, with all that happened to it. `payment_id` is what bought it."""

    id: str
    showtime_id: str
    status: str
    seats: tuple[str, ...]
    total: int
    payment_id: str
    email: str
    chapters: tuple[dict[str, Any], ...]

    def count(self, event: str) -> int:
        return sum(chapter["event"] == event for chapter in self.chapters)

    @property
    def refunds(self) -> dict[str, int]:
        """What the house owes or has returned, by the refund's id."""
        found = [chapter["refund"] for chapter in self.chapters if chapter.get("refund")]
        return {refund["id"]: refund["amount"]["amount"] for refund in found}

    def owed_to_house(self, half: bool) -> int:
        """What the house may have of this booking: the value of its live seats, and what its policy keeps of others."""
        if not self.count(BOOKED):
            return 0
        if self.status == "confirmed":
            return self.total
        by_customer = any(told["event"] == "booking_cancelled" and told["by"] == "customer" for told in self.chapters)
        return self.total - max(0, self.total // 2 - 500) if half and by_customer else 0


async def faults_in(storm: "Storm", session: aiohttp.ClientSession) -> list[str]:
    sales = await _sales(storm, session)
    return [
        *_money(storm, sales),
        *await _decisions(storm, session, sales),
        *_letters(storm, sales),
        *await _seats(storm, session, sales),
        *[f"parked: {job}" for job in await storm.all_of(session, "/admin/jobs?state=parked&")],
    ]


async def _sales(storm: "Storm", session: aiohttp.ClientSession) -> list[Sale]:
    gate = asyncio.Semaphore(8)

    async def read(booking_id: str) -> Sale:
        async with gate:
            told = await storm.staff_asks(session, "GET", f"/bookings/{booking_id}")
        return Sale(
            told["id"],
            told["showtime"]["id"],
            told["status"],
            tuple(seat["seat"] for seat in told["seats"]),
            told["total"]["amount"],
            told["payment"]["id"] or "",
            (told["contact"] or {}).get("email", ""),
            tuple(told["history"]),
        )

    listed = await storm.all_of(session, "/admin/bookings?")
    return list(await asyncio.gather(*(read(booking["id"]) for booking in listed)))


def _money(storm: "Storm", sales: list[Sale]) -> list[str]:
    """Captured less refunded is what live bookings are worth, for each payment and in total."""
    provider, found = storm.provider, []
    orders: dict[str, list[str]] = {}
    for order in provider.orders.values():
        orders.setdefault(order["notes"]["payment_id"], []).append(order["id"])
    buying = {sale.payment_id: sale for sale in sales if sale.count(BOOKED)}
    taken = returned = 0
    for payment_id, order_ids in orders.items():
        captured = sum(provider.captured(order_id) for order_id in order_ids)
        refunded = sum(amount for order_id in order_ids for _, amount in provider.given_back(order_id))
        sale = buying.get(payment_id)
        owed = 0 if sale is None else sale.owed_to_house(sale.showtime_id in storm.half)
        taken, returned = taken + captured, returned + refunded
        if captured - refunded != owed:
            found.append(f"payment {payment_id}: {captured} captured - {refunded} refunded is not {owed}: {sale}")
    worth = sum(sale.owed_to_house(sale.showtime_id in storm.half) for sale in sales)
    if taken - returned != worth:
        found.append(f"in total {taken} captured - {returned} refunded is not {worth}")
    print(f"{taken} captured - {returned} refunded = {taken - returned}; live bookings {worth}")
    return found + [
        f"{sale.id} was bought by the unknown payment {payment_id}"
        for payment_id, sale in buying.items()
        if payment_id not in orders
    ]


async def _decisions(storm: "Storm", session: aiohttp.ClientSession, sales: list[Sale]) -> list[str]:
    """Every payment that was captured bought its booking, or went back whole, once."""
    provider, found = storm.provider, []
    by_id = {sale.id: sale for sale in sales}
    back = Counter[str]()
    for order in provider.orders.values():
        paid = [
            paid
            for paid in provider.payments.values()
            if paid["order_id"] == order["id"] and paid["status"] != "failed"
        ]
        if not paid:
            continue
        payment_id, sale = order["notes"]["payment_id"], by_id[order["notes"]["booking_id"]]
        bought = bool(sale.count(BOOKED)) and sale.payment_id == payment_id
        told = await storm.staff_asks(session, "GET", f"/payments/{payment_id}")
        returned = not bought and told["status"] == "refunded"
        back[sale.id] += returned
        captured, given = provider.captured(order["id"]), provider.given_back(order["id"])
        if bought == returned and (captured or told["provider_order_id"]):
            found.append(f"payment {payment_id}: bought {bought}, returned {returned}, {captured} captured: {sale}")
        if returned and captured and (len(given) != 1 or given[0][1] != captured):
            found.append(f"payment {payment_id}: {captured} captured, and {given} went back: {sale}")
        if len({refund_id for refund_id, _ in given}) != len(given):
            found.append(f"payment {payment_id}: refunded twice over: {given}")
        wrong = [one for one in given if sale.refunds.get(one[0]) != one[1]]
        if wrong:
            found.append(f"payment {payment_id}: {wrong} went back and nobody decided that: {sale}")
    found += [
        f"{back[sale.id]} payments went back: {sale}"
        for sale in sales
        if sale.count(BOOKED) > 1 or sale.count(RETURNED) != back[sale.id]
    ]
    return found


def _letters(storm: "Storm", sales: list[Sale]) -> list[str]:
    """Each thing that people must hear of came by one letter, however often that one came."""
    letters: dict[str, set[str]] = {}
    for letter in storm.mail.arrived:
        letters.setdefault(str(letter["To"]), set()).add(str(letter["Message-ID"]).strip())
    found = []
    for sale in sales:
        if not sale.email and not sale.count(BOOKED):
            continue  # killed before the address was written down, and the customer did not ask again
        for kind, event in _LETTERS.items():
            ids = [one for one in letters.get(sale.email, ()) if one.startswith(f"<{kind}.")]
            strange = kind == "confirmed" and any(sale.id not in one for one in ids)
            if len(ids) != sale.count(event) or strange:
                found.append(f"{sale.count(event)} letters {kind} wanted, came {ids}: {sale}")
    return found


async def _seats(storm: "Storm", session: aiohttp.ClientSession, sales: list[Sale]) -> list[str]:
    """Each seat has one booking at most, and is sold if and only if it has one."""
    found = []
    for showtime_id in storm.full + storm.half:
        live = [sale for sale in sales if sale.showtime_id == showtime_id and sale.status == "confirmed"]
        seats = [seat for sale in live for seat in sale.seats]
        sold = (await storm.seats(session, showtime_id))["sold"]
        if len(set(seats)) != len(seats) or set(sold) != set(seats):
            found.append(f"showtime {showtime_id}: sold {sorted(sold)}, booked {sorted(seats)}")
    return found
