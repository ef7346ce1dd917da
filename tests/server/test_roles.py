"""Who may ask what: every route of the house, with every role, on things of one's own and of others.

The table below says it once more than the code does. A route without a row fails, and so does a row without a route.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.ids import mint
from persistence import accounts
from persistence.accounts import Account
from persistence.webhooks import NewDelivery, add_deliveries
from server.auth.identity import ADMIN, BOX_OFFICE, CUSTOMER, EVERYONE, GUEST, MANAGER, USHER
from server.keys import CLOCK, OPERATIONS, POOL, SESSIONS
from tests.server.house import House, open_house
from tests.server.rest.cinema import Counter, fresh_key, open_counter

PRICE = {"category": "standard", "ticket_type": "adult", "amount": 1}
LETTERS = dict(zip("GCUBMA", (GUEST, CUSTOMER, USHER, BOX_OFFICE, MANAGER, ADMIN), strict=True))

# `all`: with or without a token. `proof`: with a token, or what proves as much in the body. Else the roles: Guest,
# Customer, Usher, Box office, Manager, Admin. `other`: what somebody hears who has the role but asks for others' things
# (404) or for another theatre (403).
TABLE = """
# method path                                                        who     other
GET    /health                                                       all
GET    /ready                                                        all
GET    /metrics                                                      all
GET    /api/v1/health                                                all
GET    /api/v1/ready                                                 all
GET    /api/v1/metrics                                               all
GET    /api/v1/openapi.json                                          all
GET    /api/v1/asyncapi.json                                         all

POST   /api/v1/auth/register                                         all
POST   /api/v1/auth/login                                            all
POST   /api/v1/auth/guest                                            all
POST   /api/v1/auth/refresh                                          all
POST   /api/v1/auth/logout                                           proof
POST   /api/v1/auth/forgot-password                                  all
POST   /api/v1/auth/reset-password                                   all
POST   /api/v1/auth/verify-email                                     all
POST   /api/v1/auth/otp/request                                      all
POST   /api/v1/auth/otp/verify                                       all
GET    /api/v1/auth/me                                               GCUBMA
PATCH  /api/v1/auth/me                                               CUBMA
PUT    /api/v1/auth/me                                               CUBMA
DELETE /api/v1/auth/me                                               CUBMA
GET    /api/v1/users/me                                              all
PATCH  /api/v1/users/me                                              all
PUT    /api/v1/users/me                                              all
DELETE /api/v1/users/me                                              all
POST   /api/v1/auth/change-password                                  CUBMA
POST   /api/v1/auth/verify-email/request                             CUBMA
GET    /api/v1/auth/sessions                                         GCUBMA
DELETE /api/v1/auth/sessions/{id}                                    GCUBMA  404
GET    /api/v1/me/notification-preferences                           CUBMA
PATCH  /api/v1/me/notification-preferences                           CUBMA
PUT    /api/v1/me/notification-preferences                           CUBMA
GET    /api/v1/notifications                                         CUBMA
GET    /api/v1/notifications/unread-count                            CUBMA
PATCH  /api/v1/notifications/{notification_id}                       CUBMA
PUT    /api/v1/notifications/{notification_id}                       CUBMA
POST   /api/v1/notifications/read-all                                CUBMA
POST   /api/v1/theatre-applications                                  CUBMA
GET    /api/v1/theatre-applications                                  CUBMA

GET    /api/v1/movies                                                all
GET    /api/v1/movies/upcoming                                       all
GET    /api/v1/movies/search                                         all
GET    /api/v1/movies/{movie_id}                                     all
GET    /api/v1/movies/{movie_id}/showtimes                           all
GET    /api/v1/theatres                                              all
GET    /api/v1/theatres/{theatre_id}                                 all
GET    /api/v1/theatres/{theatre_id}/screens                         all
GET    /api/v1/theatres/{theatre_id}/showtimes                       all
GET    /api/v1/theaters                                              all
GET    /api/v1/theaters/{theatre_id}                                 all
GET    /api/v1/screens/{screen_id}                                   all
GET    /api/v1/screens/{screen_id}/layout                            all
GET    /api/v1/layouts                                               all
GET    /api/v1/layouts/{layout_id}                                   all
GET    /api/v1/showtimes                                             all
GET    /api/v1/showtimes/facets                                      all
GET    /api/v1/showtimes/{showtime_id}                               all

GET    /api/v1/showtimes/{showtime_id}/seats                         all
GET    /api/v1/showtimes/{showtime_id}/events                        all
GET    /api/v1/shows/{showtime_id}/seats                             all
GET    /api/v1/seats                                                 all
GET    /api/v1/seats/availability                                    all
GET    /api/v1/showtimes/{showtime_id}/live                          all
GET    /api/v1/me/live                                               all
GET    /api/v1/me/stream                                             all
GET    /api/v1/live                                                  all

POST   /api/v1/showtimes/{showtime_id}/holds                         GCUBMA
GET    /api/v1/holds/{hold_id}                                       GCUBMA  404
PATCH  /api/v1/holds/{hold_id}                                       GCUBMA  404
POST   /api/v1/holds/{hold_id}/renew                                 GCUBMA  404
PATCH  /api/v1/seats/hold/{hold_id}/refresh                          GCUBMA  404
DELETE /api/v1/holds/{hold_id}                                       GCUBMA  404
POST   /api/v1/bookings/release                                      GCUBMA  404

POST   /api/v1/bookings                                              GCUBMA  404
GET    /api/v1/bookings                                              GCUBMA
GET    /api/v1/bookings/my                                           GCUBMA
GET    /api/v1/bookings/me                                           GCUBMA
GET    /api/v1/bookings/user                                         GCUBMA
GET    /api/v1/bookings/calendar                                     GCUBMA
GET    /api/v1/bookings/{booking_id}                                 GCUBMA  404
GET    /api/v1/bookings/{booking_id}/calendar.ics                    GCUBMA  404
POST   /api/v1/bookings/{booking_id}/confirm                         GCUBMA  404
GET    /api/v1/bookings/{booking_id}/cancellation-quote              GCUBMA  404
POST   /api/v1/bookings/{booking_id}/resend                          GCUBMA  404
POST   /api/v1/bookings/{booking_id}/cancel                          GCUBMA  404
DELETE /api/v1/bookings/{booking_id}                                 GCUBMA  404

POST   /api/v1/payments/orders                                       GCUBMA  404
POST   /api/v1/payments/intents                                      GCUBMA  404
POST   /api/v1/payments/create-order                                 GCUBMA  404
POST   /api/v1/payments/create-intent                                GCUBMA  404
POST   /api/v1/payment/initiate-booking                              GCUBMA  404
GET    /api/v1/payments/{payment_id}                                 GCUBMA  404
POST   /api/v1/payments/webhook/{provider}                           all
POST   /api/v1/payments/sandbox/{payment_id}/succeed                 all
POST   /api/v1/payments/sandbox/{payment_id}/fail                    all

GET    /api/v1/admin/users                                           A
GET    /api/v1/admin/users/{id}                                      A
PATCH  /api/v1/admin/users/{id}                                      A
PUT    /api/v1/admin/users/{id}                                      A
PUT    /api/v1/admin/theatres/{id}/managers/{user_id}                A
DELETE /api/v1/admin/theatres/{id}/managers/{user_id}                A
GET    /api/v1/admin/theatres                                        MA
POST   /api/v1/admin/theatres                                        A
GET    /api/v1/admin/theatres/{theatre_id}                           MA      403
PATCH  /api/v1/admin/theatres/{theatre_id}                           MA      403
PUT    /api/v1/admin/theatres/{theatre_id}                           MA      403
DELETE /api/v1/admin/theatres/{theatre_id}                           MA      403
GET    /api/v1/admin/movies                                          MA
POST   /api/v1/admin/movies                                          A
GET    /api/v1/admin/movies/{movie_id}                               MA
PATCH  /api/v1/admin/movies/{movie_id}                               A
PUT    /api/v1/admin/movies/{movie_id}                               A
DELETE /api/v1/admin/movies/{movie_id}                               A
POST   /api/v1/admin/movies/{movie_id}/publish                       A
POST   /api/v1/admin/movies/{movie_id}/archive                       A
GET    /api/v1/admin/theatre-applications                            A
POST   /api/v1/admin/theatre-applications/{id}/approve               A
POST   /api/v1/admin/theatre-applications/{id}/reject                A


GET    /api/v1/admin/screens                                         MA
POST   /api/v1/admin/screens                                         MA      403
GET    /api/v1/admin/screens/{screen_id}                             MA      403
PATCH  /api/v1/admin/screens/{screen_id}                             MA      403
PUT    /api/v1/admin/screens/{screen_id}                             MA      403
DELETE /api/v1/admin/screens/{screen_id}                             MA      403
GET    /api/v1/admin/screens/{screen_id}/layouts                     MA      403
POST   /api/v1/admin/screens/{screen_id}/layouts                     MA      403
GET    /api/v1/admin/screens/{screen_id}/layouts/{version}           MA      403
DELETE /api/v1/admin/screens/{screen_id}/layouts/{version}           MA      403
POST   /api/v1/admin/screens/{screen_id}/layouts/{version}/preview   MA      403

PATCH  /api/v1/admin/showtimes/{showtime_id}/pricing                 MA      403
PUT    /api/v1/admin/showtimes/{showtime_id}/pricing                 MA      403
PATCH  /api/v1/admin/pricing                                         MA
PUT    /api/v1/admin/pricing                                         MA
GET    /api/v1/admin/pricing/matrix                                  MA
GET    /api/v1/admin/promo-codes                                     MA
POST   /api/v1/admin/promo-codes                                     MA
GET    /api/v1/admin/promo-codes/{promo_id}                          MA      403
PATCH  /api/v1/admin/promo-codes/{promo_id}                          MA      403
PUT    /api/v1/admin/promo-codes/{promo_id}                          MA      403
DELETE /api/v1/admin/promo-codes/{promo_id}                          MA      403
GET    /api/v1/admin/webhooks                                        MA
POST   /api/v1/admin/webhooks                                        MA
GET    /api/v1/admin/webhooks/{webhook_id}                           MA      403
PATCH  /api/v1/admin/webhooks/{webhook_id}                           MA      403
PUT    /api/v1/admin/webhooks/{webhook_id}                           MA      403
POST   /api/v1/admin/webhooks/{webhook_id}/rotate-secret             MA      403
GET    /api/v1/admin/webhooks/{webhook_id}/deliveries                MA      403
POST   /api/v1/admin/webhooks/{webhook_id}/test                      MA      403
GET    /api/v1/admin/webhooks/{webhook_id}/deliveries/{delivery_id}  MA      403
POST   /api/v1/admin/webhooks/{webhook_id}/deliveries/{delivery_id}/replay MA 403
DELETE /api/v1/admin/webhooks/{webhook_id}                           MA      403
GET    /api/v1/admin/price-lists                                     MA
POST   /api/v1/admin/price-lists                                     MA
GET    /api/v1/admin/price-lists/{price_list_id}                     MA      403
PATCH  /api/v1/admin/price-lists/{price_list_id}                     MA      403
PUT    /api/v1/admin/price-lists/{price_list_id}                     MA      403
DELETE /api/v1/admin/price-lists/{price_list_id}                     MA      403

POST   /api/v1/admin/uploads                                         MA

GET    /api/v1/admin/showtimes                                       MA
POST   /api/v1/admin/showtimes                                       MA      403
POST   /api/v1/admin/showtimes/bulk                                  MA
POST   /api/v1/admin/showtimes/copy-week                             MA
POST   /api/v1/admin/showtimes/publish                               MA
GET    /api/v1/admin/showtimes/{showtime_id}                         MA      403
PATCH  /api/v1/admin/showtimes/{showtime_id}                         MA      403
PUT    /api/v1/admin/showtimes/{showtime_id}                         MA      403
POST   /api/v1/admin/showtimes/{showtime_id}/publish                 MA      403
GET    /api/v1/admin/showtimes/{showtime_id}/live                    BMA     403
GET    /api/v1/admin/showtimes/{showtime_id}/events                  MA      403
PUT    /api/v1/admin/showtimes/{showtime_id}/seats                   BMA     403
POST   /api/v1/admin/showtimes/{showtime_id}/sales/open              MA      403
POST   /api/v1/admin/showtimes/{showtime_id}/sales/close             MA      403
POST   /api/v1/admin/showtimes/{showtime_id}/holds/{hold_id}/release BMA     403
POST   /api/v1/admin/showtimes/{showtime_id}/cancel                  MA      403
GET    /api/v1/admin/showtimes/{showtime_id}/cancellation            BMA     403
GET    /api/v1/admin/jobs                                            A
GET    /api/v1/admin/jobs/{job_id}                                   A
POST   /api/v1/admin/jobs/{job_id}/retry                             A
POST   /api/v1/admin/jobs/{job_id}/drop                              A
GET    /api/v1/admin/bookings                                        BMA
POST   /api/v1/admin/bookings/{booking_id}/refund                    MA      403
PUT    /api/v1/admin/bookings/{booking_id}/status                    MA      403
GET    /api/v1/admin/bookings/{booking_id}/audit                     MA      403
DELETE /api/v1/admin/showtimes/{showtime_id}                         MA      403
"""


@dataclass(frozen=True)
class Row:
    method: str
    path: str
    who: str
    other: int | None

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(EVERYONE if self.is_public else (LETTERS[letter] for letter in self.who))

    @property
    def is_public(self) -> bool:
        return self.who in ("all", "proof")


def _rows() -> Iterator[Row]:
    for line in TABLE.splitlines():
        if line and not line.startswith("#"):
            method, path, who, *other = line.split()
            yield Row(method, path, who, int(other[0]) if other else None)


ROWS = tuple(_rows())
_SYSTEM = {("GET", "/health"), ("GET", "/ready"), ("GET", "/metrics")}


@dataclass
class Stage:
    """A house with one of everything: things of an owner, in a theatre."""

    house: House
    counter: Counter
    things: dict[str, str]

    async def caller(self, role: str, *theatres: str) -> str:
        """The token of somebody new with one role."""
        now = self.house.app[CLOCK].now()
        account = Account(
            id=mint(now), roles=(role,), created_at=now, theatre_ids=theatres,
            email=None if role == GUEST else f"{mint(now)}@example.com",
        )  # fmt: skip
        await accounts.add(self.house.app[POOL], account)
        pair = await self.house.app[SESSIONS].begin(account, "test")
        return pair.access_token

    def body(self, row: Row) -> Any:
        """Enough for a request to come as far as the question whose the thing is."""
        t = self.things
        match row.method, row.path.removeprefix("/api/v1"):
            case "PATCH", "/holds/{hold_id}":
                return {"add": ["C5"]}
            case "POST", "/bookings/release" | "/bookings":
                return {
                    "hold_id": t["hold_id"],
                    **({"contact": {"email": "a@b.example"}} if row.path.endswith("s") else {}),
                }
            case "POST", "/bookings/{booking_id}/confirm":
                return {"provider": "sandbox"}
            case "POST", path if path.startswith("/payment"):
                return {"booking_id": t["booking_id"]} if "sandbox" not in path else None
            case "POST", "/admin/showtimes/{showtime_id}/cancel":
                return {"reason": "a power cut"}
            case "POST", "/admin/bookings/{booking_id}/refund":
                return {"amount": 1, "reason": "noise"}
            case "PUT", "/admin/bookings/{booking_id}/status":
                return {"status": "expired", "reason": "a test"}
            case "POST", "/admin/showtimes":
                return {"movie_id": t["movie_id"], "screen_id": t["screen_id"], "starts_at": "2050-01-01T12:00:00Z"}
            case "POST", "/admin/screens":
                return {"theatre_id": t["theatre_id"], "name": "2", "rows": 2, "seats_per_row": 4}
            case "PATCH" | "PUT", path if path.startswith(
                ("/admin/price-lists", "/admin/promo-codes", "/admin/webhooks")
            ):
                return {}
            case "PATCH" | "PUT", path if path.startswith(("/admin/showtimes", "/admin/theatres", "/admin/screens")):
                return {}
        return None

    async def ask(self, row: Row, token: str | None, path: str, body: Any = None) -> ClientResponse:
        headers = {"Idempotency-Key": fresh_key()}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        rest = {} if body is None else {"json": body}
        return await self.house.client.request(row.method, path, headers=headers, allow_redirects=False, **rest)  # type: ignore[arg-type]


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with open_house(database_url, rate_limit=False) as house:
        counter = await open_counter(house)
        owner, cinema = counter.person(), counter.cinema
        held = await owner.hold(counter.showtime_id, "A1", "A2")
        booked = await owner.book(counter.showtime_id, "B1")
        paying = await (await owner.post("/payments/orders", {"booking_id": booked["id"]}, key=fresh_key())).json()
        listed = {"name": "Gala", "scope": "showtime", "theatre_id": cinema.theatre_id, "prices": [PRICE]}
        gala = await (await counter.manager().post("/admin/price-lists", listed)).json()
        summer = {"code": "SUMMER", "theatre_id": cinema.theatre_id, "percent": 10}
        code = await (await counter.manager().post("/admin/promo-codes", summer)).json()
        partner = {"url": "https://192.0.1.1/", "events": ["booking.confirmed"], "theatre_id": cinema.theatre_id}
        webhook = await (await counter.manager().post("/admin/webhooks", partner)).json()
        sent = NewDelivery(mint(0), webhook["id"], "1", "ping", None, b"{}")
        await add_deliveries(house.app[POOL], [sent])
        yield Stage(
            house,
            counter,
            {
                "webhook_id": webhook["id"],
                "delivery_id": sent.id,
                "showtime_id": counter.showtime_id,
                "theatre_id": cinema.theatre_id,
                "screen_id": cinema.screen_id,
                "movie_id": cinema.movie_id,
                "layout_id": cinema.layout.id,
                "version": "1",
                "hold_id": held["hold_id"],
                "booking_id": booked["id"],
                "payment_id": paying["payment_id"],
                "price_list_id": gala["id"],
                "promo_id": code["id"],
                "owner": owner.token,
            },
        )


async def test_every_route_has_a_row_and_every_row_a_route(stage: Stage) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in stage.house.app.router.routes()
        if route.resource is not None and route.method not in ("HEAD", "*")
    }
    pages = {(method, path) for method, path in routes if not path.startswith("/api/")} - _SYSTEM
    assert {(row.method, row.path) for row in ROWS} == routes - pages


async def test_the_declarations_say_what_the_table_says(stage: Stage) -> None:
    table = {(row.method, row.path): row for row in ROWS}
    for operation in stage.house.app[OPERATIONS]:
        row = table[operation.method, operation.path]
        assert (operation.access is None) is row.is_public, operation.path
        assert row.roles == frozenset(operation.access or EVERYONE), operation.path


async def test_without_a_token_only_public_routes_answer(stage: Stage) -> None:
    wrong = []
    for row in ROWS:
        response = await stage.ask(row, None, _nowhere(row))
        if await _refusal(response) != (None if row.who == "all" else "auth_required"):
            wrong.append((row, response.status, await response.text()))
    assert not wrong


@pytest.mark.parametrize("role", EVERYONE)
async def test_a_role_is_let_in_where_the_table_names_it(stage: Stage, role: str) -> None:
    wrong = []
    for row in ROWS:
        token = await stage.caller(role, stage.things["theatre_id"])
        response = await stage.ask(row, token, _nowhere(row))
        if await _refusal(response) != (None if role in row.roles else "forbidden"):
            wrong.append((row, response.status, await response.text()))
    assert not wrong


async def test_things_of_others_are_not_there_and_other_theatres_are_out_of_scope(stage: Stage) -> None:
    wrong = []
    for row in ROWS:
        roles = [row.roles & {USHER, BOX_OFFICE, MANAGER}, {CUSTOMER, GUEST, MANAGER}][row.other == 404]
        for role in sorted(roles) if row.other else ():
            token = await stage.caller(role, mint(stage.house.app[CLOCK].now()))
            response = await stage.ask(row, token, _path(row, stage.things), stage.body(row))
            code = (await response.json()).get("code", "") if response.status >= 400 else ""
            if response.status != row.other or not code.endswith({404: "_not_found", 403: "out_of_scope"}[row.other]):
                wrong.append((row, role, response.status, code))
    assert not wrong


async def test_ones_own_things_and_ones_own_theatre_are_open(stage: Stage) -> None:
    wrong = []
    for row in ROWS:
        if row.other is None or "{id}" in row.path:
            continue
        staff = await stage.caller(MANAGER, stage.things["theatre_id"])
        token = stage.things["owner"] if row.other == 404 else staff
        response = await stage.ask(row, token, _path(row, stage.things), stage.body(row))
        if response.status in (401, 403, 404):
            wrong.append((row, response.status, await response.text()))
    assert not wrong


def _nowhere(row: Row) -> str:
    """The path with ids of things that do not exist."""
    return _path(row, {})


def _path(row: Row, things: dict[str, str]) -> str:
    path = row.path
    while "{" in path:
        head, _, rest = path.partition("{")
        name, _, tail = rest.partition("}")
        path = f"{head}{things.get(name) or mint(0)}{tail}"
    return path


async def _refusal(response: ClientResponse) -> str | None:
    """The code with which the guard turns somebody away; None for any other answer."""
    if response.status not in (401, 403):
        return None
    code = (await response.json())["code"]
    return code if code in ("auth_required", "forbidden") else None
