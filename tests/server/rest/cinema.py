"""A cinema with one showtime on sale, and people who come to its counter with tokens of their own."""

from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from aiohttp import ClientResponse

from actors.ids import mint
from actors.seatmap.commands import ActorKind, Cause, Expire
from actors.seatmap.layout import Layout, from_plan, from_shortcut
from actors.seatmap.terms import Instant, OrphanRule, RefundStep, Tariff, Terms
from persistence import catalog, programme
from persistence.catalog import Movie, Theatre
from persistence.database import Pool
from persistence.journal import schedule
from persistence.layouts import to_row
from persistence.programme import NewShowtime
from server.keys import CLOCK, POOL, REGISTRY, TOKENS
from tests.server.house import House

HOUR = 3_600_000
_keys = count(1)


@dataclass(frozen=True)
class Cinema:
    """One screen. Adult 450.00, child 250.00, baby free, fee 10.00, tax 18 %."""

    theatre_id: str
    screen_id: str
    movie_id: str
    layout: Layout


@dataclass
class Person:
    """Somebody who keeps signed in."""

    house: House
    account_id: str
    roles: tuple[str, ...]
    theatres: tuple[str, ...]

    @property
    def token(self) -> str:
        """A fresh one each time: clocks of tests run far."""
        return self.house.app[TOKENS].issue(self.account_id, self.account_id, self.roles, self.theatres)

    async def get(self, path: str, **rest: Any) -> ClientResponse:
        return await self.house.get(path, token=self.token, **rest)

    async def post(self, path: str, json: Any = None, *, key: str | None = None, **rest: Any) -> ClientResponse:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.house.post(path, json, token=self.token, headers=headers, **rest)

    async def patch(self, path: str, json: Any) -> ClientResponse:
        return await self.house.ask("PATCH", path, token=self.token, json=json)

    async def put(self, path: str, json: Any) -> ClientResponse:
        return await self.house.ask("PUT", path, token=self.token, json=json)

    async def delete(self, path: str) -> ClientResponse:
        return await self.house.ask("DELETE", path, token=self.token)

    async def hold(self, showtime_id: str, *seats: str, **rest: Any) -> dict[str, Any]:
        response = await self.post(f"/showtimes/{showtime_id}/holds", {"seats": list(seats), **rest})
        return await expect(response, 201)

    async def book(self, showtime_id: str, *seats: str) -> dict[str, Any]:
        """A booking that waits for its payment."""
        held = await self.hold(showtime_id, *seats)
        return await expect(await self.post("/bookings", {"hold_id": held["hold_id"]}, key=fresh_key()), 201)

    async def buy(self, showtime_id: str, *seats: str) -> dict[str, Any]:
        booked = await self.book(showtime_id, *seats)
        paid = await self.post(f"/bookings/{booked['id']}/confirm", {"provider": "sandbox"}, key=fresh_key())
        return await expect(paid, 200)


@dataclass
class Counter:
    """The house, its cinema and the showtime that is on sale."""

    house: House
    cinema: Cinema
    showtime_id: str
    _people: Any = field(default_factory=lambda: count(1))

    def person(self, *roles: str, theatres: tuple[str, ...] = ()) -> Person:
        return Person(self.house, mint(self.house.app[CLOCK].now()), roles or ("customer",), theatres)

    def manager(self) -> Person:
        return self.person("manager", theatres=(self.cinema.theatre_id,))

    async def settle(self) -> None:
        """A turn in which everything that is due becomes a fact."""
        expire = Expire(Cause("", ActorKind.SYSTEM, "test"))
        await self.house.app[REGISTRY].ask(self.showtime_id, expire)

    async def seats(self, **query: str) -> dict[str, Any]:
        response = await self.house.get(f"/showtimes/{self.showtime_id}/seats", params=query)
        return await expect(response, 200)


def fresh_key() -> str:
    return f"key-{next(_keys)}"


async def expect(response: ClientResponse, status: int) -> dict[str, Any]:
    """The body of an answer that must have this status."""
    assert response.status == status, (response.status, await response.text())
    body: dict[str, Any] = await response.json(content_type=None)
    return body


async def open_counter(house: House, *, rows: int = 10, seats_per_row: int = 12, **terms: Any) -> Counter:
    pool, now = house.app[POOL], house.app[CLOCK].now()
    cinema = await build(pool, now, rows, seats_per_row)
    counter = Counter(house, cinema, await premiere(pool, cinema, now, **terms))
    await counter.settle()
    return counter


async def build(pool: Pool, now: Instant, rows: int, seats_per_row: int, title: str = "The Long Night") -> Cinema:
    movie_id, theatre_id, screen_id = mint(now), mint(now), mint(now)
    movie = Movie(
        movie_id, title, "", 120, ("drama",), ("en",), "U", (), "", None, None, None, None, {}, "published"
    )  # fmt: skip
    theatre = Theatre(
        theatre_id, f"Odeon {theatre_id}", "Pune", "1 Road", "", None, None, (), {}, "Asia/Kolkata", "INR"
    )
    layout = from_plan(mint(now), 1, from_shortcut("Hall", rows, seats_per_row))
    async with pool.acquire() as connection:
        await catalog.put_movies(connection, [movie])
        await catalog.put_theatre(connection, theatre)
        await catalog.put_layout(connection, to_row(layout, mint(now)))
        await catalog.put_screen(connection, screen_id, theatre_id, "1", ["2D"], layout.id)
    return Cinema(theatre_id, screen_id, movie_id, layout)


async def premiere(pool: Pool, cinema: Cinema, now: Instant, **changes: Any) -> str:
    """A showtime tomorrow, on sale since an hour; `changes` are fields of its terms."""
    showtime_id = mint(now)
    terms = replace(
        Terms(
            movie_id=cinema.movie_id,
            screen_id=cinema.screen_id,
            layout_id=cinema.layout.id,
            starts_at=now + 24 * HOUR,
            ends_at=now + 26 * HOUR,
            sales_open_at=now - HOUR,
            sales_close_at=now + 24 * HOUR,
            tariff=Tariff("INR", {"standard": {"adult": 45_000, "child": 25_000, "baby": 0}}, "adult", 1_000, 1_800),
            refund_policy=(RefundStep(20, 10_000), RefundStep(2, 5_000, 500)),
            orphan_rule=OrphanRule.OFF,
        ),
        **changes,
    )
    async with pool.acquire() as connection, connection.transaction():
        new = NewShowtime(showtime_id, terms, "en", "2D", 0, 0, cinema.layout.capacity, 25_000)
        number = await programme.put_showtime(connection, new)
        assert number is not None
        await schedule(connection, showtime_id, number, terms, now, Cause(mint(now), ActorKind.SYSTEM, "test"))
    return showtime_id
