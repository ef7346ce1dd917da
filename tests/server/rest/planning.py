"""A theatre whose programme is still empty, and its manager, who plans through REST only."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from actors.ids import mint
from actors.runtime.clock import ManualClock
from actors.seatmap.layout import Layout, from_plan, from_shortcut
from persistence import catalog
from persistence.catalog import Movie, Theatre
from persistence.layouts import to_row
from server.keys import CLOCK, POOL
from tests.server.house import House
from tests.server.rest.cinema import Person, expect

MINUTE = 60_000
PRICES = [
    {"category": "standard", "ticket_type": "adult", "amount": 1_200},
    {"category": "standard", "ticket_type": "child", "amount": 800},
]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


@dataclass
class Office:
    """Where a theatre is planned."""

    house: House
    theatre_id: str
    time_zone: str
    movie_id: str
    layout: Layout
    screens: list[str]
    manager: Person
    clock: ManualClock
    usual: dict[str, Any] = field(default_factory=dict)

    def wish(self, starts_at: str, /, **more: Any) -> dict[str, Any]:
        """A showtime on the first screen; `starts_at` with an offset, or else in local time."""
        local = datetime.fromisoformat(starts_at.replace("Z", "+00:00")).tzinfo is None
        return {
            "movie_id": self.movie_id,
            "screen_id": self.screens[0],
            ("starts_at_local" if local else "starts_at"): starts_at,
            "language": "en",
            "format": "2D",
            "prices": PRICES,
            **more,
        }

    async def add(self, starts_at: str, /, **more: Any) -> dict[str, Any]:
        return await expect(await self.manager.post("/admin/showtimes", self.wish(starts_at, **more)), 201)

    async def refuse(self, starts_at: str, status: int, code: str, /, **more: Any) -> dict[str, Any]:
        problem = await expect(await self.manager.post("/admin/showtimes", self.wish(starts_at, **more)), status)
        assert problem["code"] == code, problem
        return problem

    async def change(
        self, showtime_id: str, status: int = 200, /, *, match: str | None = None, **changes: Any
    ) -> dict[str, Any]:
        headers = {} if match is None else {"If-Match": match}
        path = f"/admin/showtimes/{showtime_id}"
        response = await self.house.ask("PATCH", path, token=self.manager.token, json=changes, headers=headers)
        return await expect(response, status)

    async def read(self, showtime_id: str) -> dict[str, Any]:
        return await expect(await self.manager.get(f"/admin/showtimes/{showtime_id}"), 200)

    async def listed(self, **query: str) -> list[str]:
        """The ids that anybody sees in the programme."""
        page = await expect(await self.house.get("/showtimes", params={"limit": "100", **query}), 200)
        return [item["id"] for item in page["items"]]

    def customer(self) -> Person:
        return Person(self.house, mint(self.clock.now()), ("customer",), ())


async def open_office(
    house: House, clock: ManualClock, *, time_zone: str = "Europe/Berlin", screens: int = 2, minutes: int = 100
) -> Office:
    """The film runs 100 minutes, in English and German; the screens can do 2D and 3D and share a layout."""
    pool, now = house.app[POOL], house.app[CLOCK].now()
    movie_id, theatre_id = mint(now), mint(now)
    layout = from_plan(mint(now), 1, from_shortcut("Hall", 4, 10))
    film = Movie(
        movie_id, f"Film {movie_id}", "", minutes, (), ("en", "de"), "U", (), "", None, None, None, None, {},
        "published",
    )  # fmt: skip
    theatre = Theatre(theatre_id, f"Kino {theatre_id}", "Berlin", "", "", None, None, (), {}, time_zone, "EUR")
    screen_ids = [mint(now) for _ in range(screens)]
    async with pool.acquire() as connection:
        await catalog.put_movies(connection, [film])
        await catalog.put_theatre(connection, theatre)
        await catalog.put_layout(connection, to_row(layout, mint(now)))
        for number, screen_id in enumerate(screen_ids, 1):
            await catalog.put_screen(connection, screen_id, theatre_id, f"{number}", ["2D", "3D"], layout.id)
    manager = Person(house, mint(now), ("manager",), (theatre_id,))
    return Office(house, theatre_id, time_zone, movie_id, layout, screen_ids, manager, clock)
