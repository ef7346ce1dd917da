"""Theatres as those who run them see and change them. Administrators run all of them, managers their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from aiohttp import hdrs, web
from pydantic import AfterValidator, Field

from actors.ids import mint
from persistence import catalog, houses
from persistence.catalog import Theatre
from persistence.houses import HasShowtimes, InUse, NameTaken, TheatreSearch
from server.auth.details import Email, Name, Phone, Zone
from server.auth.identity import ADMIN, MANAGER, caller, require_staff_of
from server.cards import TheatreRecord, theatre_record
from server.errors import Problem, invalid, not_found
from server.keys import CLOCK, POOL
from server.operations import Operation
from server.price_shapes import Currency
from server.requests import Body, Cursor, Page, Text, path_id, read_body, read_query
from server.responses import answer, no_content
from server.revisions import check, tagged
from server.shapes import Listed
from server.timetable import Policy, refund_steps

RUNNERS: Final = frozenset((MANAGER, ADMIN))
AMENITIES_MAX: Final = 40


def _once(words: Sequence[str]) -> list[str]:
    """Each word once, in the order given, without the space around it."""
    return list(dict.fromkeys(filter(None, (" ".join(word.split()) for word in words))))


Amenities = Annotated[
    list[Annotated[str, Field(max_length=60)]], Field(max_length=AMENITIES_MAX), AfterValidator(_once)
]
Address = Annotated[str, Field(max_length=300), AfterValidator(str.strip)]
Pincode = Annotated[str, Field(max_length=16, pattern=r"^[0-9A-Za-z -]*$"), AfterValidator(str.strip)]


class Geo(Body):
    lat: Annotated[float, Field(ge=-90, le=90)]
    lng: Annotated[float, Field(ge=-180, le=180)]


class ContactGiven(Body):
    email: Email | None = None
    phone: Phone | None = None
    website: Annotated[str, Field(max_length=300, pattern=r"^https?://[^\s/]+(/\S*)?$")] | None = None


class NewTheatre(Body):
    name: Name
    city: Name
    address: Address = ""
    geo: Geo | None = None
    pincode: Pincode = ""
    contact: ContactGiven = ContactGiven()
    amenities: Amenities = Field(default_factory=list)
    time_zone: Zone
    currency: Currency = "INR"
    cancellation_policy: Policy = Field(default_factory=list)


class TheatreChanges(Body):
    """What is named is changed. `geo: null` forgets the place; of a contact, each detail that is named changes."""

    name: Name | None = None
    city: Name | None = None
    address: Address | None = None
    geo: Geo | None = None
    pincode: Pincode | None = None
    contact: ContactGiven | None = None
    amenities: Amenities | None = None
    time_zone: Zone | None = None
    currency: Currency | None = None
    cancellation_policy: Policy | None = None


class OwnTheatresQuery(Page):
    q: Text | None = None
    city: Text | None = None


async def list_theatres(request: web.Request) -> web.Response:
    """The caller's theatres by name; all of them for an administrator."""
    who = caller(request)
    query = read_query(request, OwnTheatresQuery)
    cursor = Cursor.read(query.cursor)
    wanted = TheatreSearch(
        theatre_ids=None if who.is_any(ADMIN) else tuple(who.theatres),
        text=query.q,
        city=query.city,
        after=(cursor.key, cursor.id) if cursor else None,
    )
    rows = await houses.theatres(request.app[POOL], wanted, query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    page: Listed[TheatreRecord] = {
        "items": [theatre_record(theatre) for theatre in shown],
        "next_cursor": Cursor(key=last.sort_key, id=last.id).text() if last else None,
    }
    return answer(page)


async def show_theatre(request: web.Request) -> web.Response:
    theatre_id = path_id(request, "theatre_id", "theatre")
    return _shown(_demand_own(request, await catalog.theatre(request.app[POOL], theatre_id)))


async def add_theatre(request: web.Request) -> web.Response:
    asked = await read_body(request, NewTheatre)
    theatre = Theatre(
        id=mint(request.app[CLOCK].now()),
        name=asked.name,
        city=asked.city,
        address=asked.address,
        pincode=asked.pincode,
        lat=asked.geo.lat if asked.geo else None,
        lng=asked.geo.lng if asked.geo else None,
        amenities=tuple(asked.amenities),
        contact=asked.contact.model_dump(exclude_none=True),
        time_zone=asked.time_zone,
        currency=asked.currency,
        refund_policy=refund_steps(asked.cancellation_policy),
    )
    try:
        await houses.add_theatre(request.app[POOL], theatre)
    except NameTaken:
        raise _name_taken() from None
    return _shown(theatre, 201)


async def change_theatre(request: web.Request) -> web.Response:
    """Change what is named. Zone and currency stay while showtimes are to come, since their times and prices hang on
    them."""
    asked = await read_body(request, TheatreChanges)
    theatre_id = path_id(request, "theatre_id", "theatre")
    now = request.app[CLOCK].now()
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = _demand_own(request, await houses.take_theatre(connection, theatre_id))
        check(request, present.revision)
        wanted = _changed(present, asked)
        if wanted == present:
            return _shown(present)
        moves = (wanted.time_zone, wanted.currency) != (present.time_zone, present.currency)
        if moves and await houses.plays(connection, theatre_id, now):
            raise _has_showtimes("Its time zone and currency stay while showtimes are to come.")
        try:
            await houses.write_theatre(connection, wanted, now)
        except NameTaken:
            raise _name_taken() from None
    return _shown(replace(wanted, revision=present.revision + 1))


async def delete_theatre(request: web.Request) -> web.Response:
    """Only a theatre that never had a showtime; its screens go with it."""
    theatre_id = path_id(request, "theatre_id", "theatre")
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = _demand_own(request, await houses.take_theatre(connection, theatre_id))
        check(request, present.revision)
        try:
            await houses.delete_theatre(connection, theatre_id)
        except HasShowtimes:
            raise _has_showtimes("This theatre has showtimes, so it stays.") from None
        except InUse:
            raise Problem(409, "in_use", "Something else still refers to this theatre.") from None
    return no_content()


def _changed(present: Theatre, asked: TheatreChanges) -> Theatre:
    """The theatre with what is named in the request changed. 422 for null where there must be something."""
    given: dict[str, Any] = {name: getattr(asked, name) for name in asked.model_fields_set}
    if "geo" in given:
        geo: Geo | None = given.pop("geo")
        given |= {"lat": geo.lat if geo else None, "lng": geo.lng if geo else None}
    if "contact" in given:
        given["contact"] = _merged(present.contact, given["contact"])
    if "pincode" in given:
        given["pincode"] = given["pincode"] or ""
    if missing := [name for name, value in given.items() if value is None and name not in ("lat", "lng")]:
        raise invalid(missing[0], "This cannot be nothing.")
    if "amenities" in given:
        given["amenities"] = tuple(given["amenities"])
    if "cancellation_policy" in given:
        given["refund_policy"] = refund_steps(given.pop("cancellation_policy"))
    return replace(present, **given)


def _merged(present: Mapping[str, Any], asked: ContactGiven | None) -> dict[str, Any]:
    """A contact with each named detail changed, and taken out where it is null."""
    if asked is None:
        return {}
    merged = {**present, **asked.model_dump(exclude_unset=True)}
    return {name: value for name, value in merged.items() if value is not None}


def _demand_own(request: web.Request, theatre: Theatre | None) -> Theatre:
    """The theatre, which the caller runs. 404 theatre_not_found, 403 out_of_scope."""
    if theatre is None:
        raise not_found("theatre")
    require_staff_of(request, theatre.id, *RUNNERS)
    return theatre


def _shown(theatre: Theatre, status: int = 200) -> web.Response:
    headers = {**tagged(theatre.revision)}
    if status == 201:
        headers[hdrs.LOCATION] = f"/api/v1/admin/theatres/{theatre.id}"
    return answer(theatre_record(theatre), status, headers)


def _name_taken() -> Problem:
    return Problem(409, "name_taken", "There is already a theatre of this name in this city.")


def _has_showtimes(detail: str) -> Problem:
    return Problem(409, "has_showtimes", detail)


_ALL: Final = "/api/v1/admin/theatres"
_ONE: Final = "/api/v1/admin/theatres/{theatre_id}"
_PATCH: Final = Operation(
    method="PATCH",
    path=_ONE,
    handler=change_theatre,
    summary="Change a theatre",
    access=RUNNERS,
    answers={200: TheatreRecord},
    asks=TheatreChanges,
    problems=("theatre_not_found", "precondition_failed", "name_taken", "has_showtimes"),
)
OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_ALL,
        handler=list_theatres,
        summary="List the theatres that one runs",
        access=RUNNERS,
        answers={200: Listed[TheatreRecord]},
        query=OwnTheatresQuery,
    ),
    Operation(
        method="POST",
        path=_ALL,
        handler=add_theatre,
        summary="Open a theatre",
        access=frozenset((ADMIN,)),
        answers={201: TheatreRecord},
        asks=NewTheatre,
        problems=("name_taken",),
    ),
    Operation(
        method="GET",
        path=_ONE,
        handler=show_theatre,
        summary="A theatre as those who run it see it",
        access=RUNNERS,
        answers={200: TheatreRecord},
        problems=("theatre_not_found",),
    ),
    _PATCH,
    _PATCH.also("PUT", _ONE),
    Operation(
        method="DELETE",
        path=_ONE,
        handler=delete_theatre,
        summary="Delete a theatre that never had a showtime",
        access=RUNNERS,
        answers={204: None},
        problems=("theatre_not_found", "precondition_failed", "has_showtimes", "in_use"),
    ),
)
