"""Applications for a theatre: a member asks, an administrator decides; an approval makes theatre and manager."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from actors.ids import mint
from persistence import accounts, jobs
from persistence import applications as store
from persistence.applications import Application, ApplicationFilter, Status
from persistence.database import Connection
from persistence.jobs import Job
from server.auth import grants
from server.auth.details import Email, Name, Phone, Zone
from server.auth.entry import own_account
from server.auth.grants import Grants
from server.auth.identity import ADMIN, MEMBERS, caller
from server.errors import Problem, not_found
from server.keys import CLOCK, JOBS, LIMITER, POOL, SESSIONS
from server.listings import after_start
from server.operations import Operation
from server.price_shapes import Currency
from server.requests import Body, Cursor, Page, path_id, read_body, read_query
from server.responses import answer
from server.shapes import Listed
from server.wire import rfc3339


def _prose(text: str) -> str:
    if not text.strip():
        raise ValueError("this is empty")
    return text.strip()


Prose = Annotated[str, Field(max_length=2_000), AfterValidator(_prose)]


class ContactWanted(Body):
    email: Email | None = None
    phone: Phone | None = None


class TheatreWanted(Body):
    """Without a contact it is the applicant's, without a time zone the applicant's."""

    name: Name
    city: Name
    address: Annotated[str, Field(max_length=300)] = ""
    contact: ContactWanted | None = None
    message: Annotated[str, Field(max_length=2_000)] = ""
    time_zone: Zone | None = None
    currency: Currency = "INR"


class Rejection(Body):
    reason: Prose


class ApplicationsQuery(Page):
    status: Status | None = None


class Contact(TypedDict, total=False):
    email: str | None
    phone: str | None


class TheatreApplication(TypedDict):
    """`theatre_id` is the theatre that came of it; `reason` says why none did."""

    id: str
    applicant_id: str
    name: str
    city: str
    address: str
    contact: Contact
    message: str
    time_zone: str
    currency: str
    status: str
    reason: str
    theatre_id: str | None
    created_at: str
    decided_at: str | None


async def apply(request: web.Request) -> web.Response:
    app = request.app
    account = await own_account(request)
    await app[LIMITER].spend(app[LIMITER].rates.applications, request.path, account.id)
    asked = await read_body(request, TheatreWanted)
    contact = asked.contact or ContactWanted(email=account.email, phone=account.phone)
    now = app[CLOCK].now()
    application = Application(
        id=mint(now),
        account_id=account.id,
        name=asked.name,
        city=asked.city,
        address=asked.address.strip(),
        contact=contact.model_dump(exclude_none=True),
        message=asked.message.strip(),
        time_zone=asked.time_zone or account.time_zone,
        currency=asked.currency,
        created_at=now,
    )
    await store.add(app[POOL], application)
    return answer(_shown(application), 201)


async def own_applications(request: web.Request) -> web.Response:
    return await _list(request, caller(request).account_id)


async def all_applications(request: web.Request) -> web.Response:
    return await _list(request, None)


async def approve(request: web.Request) -> web.Response:
    """The theatre and the grant come in one transaction, and the grant holds at once."""
    app = request.app
    theatre_id = mint(app[CLOCK].now())
    async with app[POOL].acquire() as connection, connection.transaction():
        await accounts.lock_grants(connection)
        application = await _undecided(request, connection)
        applicant = await grants.member(connection, application.account_id)
        now = app[CLOCK].now()
        try:
            decided = await store.approve(connection, application, theatre_id, caller(request).account_id, now)
        except store.NameTaken:
            raise Problem(409, "name_taken", "There is already a theatre of this name in this city.") from None
        wanted = Grants.of(applicant).with_manager_of(theatre_id)
        changed = await grants.write(connection, applicant, wanted, now)
        await _tell(connection, decided)
    app[JOBS].wake()
    await app[SESSIONS].regrant(changed)
    return answer(_shown(decided))


async def reject(request: web.Request) -> web.Response:
    app = request.app
    asked = await read_body(request, Rejection)
    async with app[POOL].acquire() as connection, connection.transaction():
        application = await _undecided(request, connection)
        now = app[CLOCK].now()
        decided = await store.reject(connection, application, asked.reason, caller(request).account_id, now)
        await _tell(connection, decided)
    app[JOBS].wake()
    return answer(_shown(decided))


async def _undecided(request: web.Request, connection: Connection) -> Application:
    """The application in the path, locked. 404 application_not_found, 409 already_decided."""
    application = await store.lock(connection, path_id(request, "id", "application"))
    if application is None:
        raise not_found("application")
    if application.status != "pending":
        raise Problem(409, "already_decided", f"This application was {application.status} already.")
    return application


async def _list(request: web.Request, account_id: str | None) -> web.Response:
    query = read_query(request, ApplicationsQuery)
    wanted = ApplicationFilter(account_id=account_id, status=query.status, after=after_start(Cursor.read(query.cursor)))
    rows = await store.applications(request.app[POOL], wanted, query.limit + 1)
    shown: Sequence[Application] = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    body: Listed[TheatreApplication] = {
        "items": [_shown(application) for application in shown],
        "next_cursor": Cursor(key=str(last.created_at), id=last.id).text() if last else None,
    }
    return answer(body)


async def _tell(connection: Connection, decided: Application) -> None:
    letter = {"letter": "application_decided", "application_id": decided.id}
    await jobs.put(connection, [Job("mail", f"mail:application:{decided.id}", None, letter)])


def _shown(application: Application) -> TheatreApplication:
    contact: dict[str, Any] = dict(application.contact)
    return {
        "id": application.id,
        "applicant_id": application.account_id,
        "name": application.name,
        "city": application.city,
        "address": application.address,
        "contact": {"email": contact.get("email"), "phone": contact.get("phone")},
        "message": application.message,
        "time_zone": application.time_zone,
        "currency": application.currency,
        "status": application.status,
        "reason": application.reason,
        "theatre_id": application.theatre_id,
        "created_at": rfc3339(application.created_at),
        "decided_at": None if application.decided_at is None else rfc3339(application.decided_at),
    }


_ADMIN: Final = frozenset({ADMIN})
_MEMBERS: Final = frozenset(MEMBERS)
OPERATIONS: Final = (
    Operation(
        "POST", "/api/v1/theatre-applications", apply, "Apply for a theatre of one's own.",
        access=_MEMBERS, answers={201: TheatreApplication}, asks=TheatreWanted, problems=("rate_limited",),
    ),
    Operation(
        "GET", "/api/v1/theatre-applications", own_applications, "One's own applications, the newest first.",
        access=_MEMBERS, answers={200: Listed[TheatreApplication]}, query=ApplicationsQuery,
    ),
    Operation(
        "GET", "/api/v1/admin/theatre-applications", all_applications, "Everybody's applications, the newest first.",
        access=_ADMIN, answers={200: Listed[TheatreApplication]}, query=ApplicationsQuery,
    ),
    Operation(
        "POST", "/api/v1/admin/theatre-applications/{id}/approve", approve,
        "Make the theatre, and the applicant its manager.",
        access=_ADMIN, answers={200: TheatreApplication},
        problems=("application_not_found", "already_decided", "name_taken", "user_not_found"),
    ),
    Operation(
        "POST", "/api/v1/admin/theatre-applications/{id}/reject", reject, "Say no, and why.",
        access=_ADMIN, answers={200: TheatreApplication}, asks=Rejection,
        problems=("application_not_found", "already_decided"),
    ),
)  # fmt: skip
