"""Jobs as administrators see them: what is to be done, what went wrong, and a person's decision about it."""

from typing import Annotated, Any, Final

import structlog
from aiohttp import web
from pydantic import Field

# Pydantic cannot look into the standard one before Python 3.12.
from typing_extensions import TypedDict

from persistence import jobs
from persistence.jobs import JobFilter, JobState, StoredJob
from server.auth.identity import ADMIN, caller
from server.errors import Problem, not_found
from server.keys import CLOCK, JOBS, POOL
from server.operations import Operation
from server.requests import Body, Id, Query, Text, read_body, read_query
from server.responses import answer
from server.shapes import Listed, Time, Uuid
from server.wire import rfc3339

_ADMIN: Final = frozenset((ADMIN,))
_DIGITS_MAX: Final = 18
_log: Final = structlog.get_logger("marquee.jobs")


class JobsQuery(Query):
    state: JobState | None = None
    topic: Text | None = None
    showtime_id: Id | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, pattern=r"^[0-9]+$", max_length=_DIGITS_MAX)


class Dropping(Body):
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class JobCard(TypedDict):
    """`due_at` of a running job is when its claim lapses. `last_error` is of the last try, `note` of who dropped it.

    `attempts` counts every try, `failures` those in a row that failed, the first of them at `failing_since`.
    """

    id: str
    topic: str
    key: str
    showtime_id: Uuid | None
    state: JobState
    attempts: int
    failures: int
    failing_since: Time | None
    created_at: Time
    due_at: Time
    finished_at: Time | None
    last_error: str
    note: str


class JobPage(JobCard):
    """A job with what it was given: ids and amounts. Nothing is left of that 30 days after it was finished."""

    payload: dict[str, Any]


async def list_jobs(request: web.Request) -> web.Response:
    query = read_query(request, JobsQuery)
    wanted = JobFilter(
        state=query.state,
        topic=query.topic,
        showtime_id=query.showtime_id,
        before=None if query.cursor is None else int(query.cursor),
    )
    found = await jobs.found(request.app[POOL], wanted, query.limit + 1)
    shown = found[: query.limit]
    body: Listed[JobCard] = {
        "items": [_card(job) for job in shown],
        "next_cursor": str(shown[-1].id) if len(found) > query.limit else None,
    }
    return answer(body)


async def show_job(request: web.Request) -> web.Response:
    return answer(_page(await _job(request)))


async def retry(request: web.Request) -> web.Response:
    """Do it at once, with the patience of a new one."""
    job = await _job(request)
    revived = await jobs.revive(request.app[POOL], job.id)
    if revived is None:
        raise await _not_waiting(request)
    _log.info("job_revived", topic=job.topic, job_id=job.id, was=job.state, by=caller(request).account_id)
    request.app[JOBS].wake()
    return answer(_page(revived))


async def drop(request: web.Request) -> web.Response:
    """Decide against it, and say why."""
    app = request.app
    asked = await read_body(request, Dropping)
    job = await _job(request)
    dropped = await jobs.drop(app[POOL], job.id, asked.reason, app[CLOCK].now())
    if dropped is None:
        raise await _not_waiting(request)
    _log.warning("job_dropped", topic=job.topic, job_id=job.id, key=job.dedupe_key, by=caller(request).account_id)
    return answer(_page(dropped))


async def _job(request: web.Request) -> StoredJob:
    """The job in the path. 404 job_not_found."""
    text = request.match_info["job_id"]
    is_number = text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX
    job = await jobs.by_id(request.app[POOL], int(text)) if is_number else None
    if job is None:
        raise not_found("job")
    return job


async def _not_waiting(request: web.Request) -> Problem:
    state = (await _job(request)).state
    return Problem(409, "job_not_waiting", f"This job is {state}.", state=state)


def _page(job: StoredJob) -> JobPage:
    return {**_card(job), "payload": dict(job.payload)}


def _card(job: StoredJob) -> JobCard:
    return {
        "id": str(job.id),
        "topic": job.topic,
        "key": job.dedupe_key,
        "showtime_id": job.showtime_id,
        "state": job.state,
        "attempts": job.attempts,
        "failures": job.failures,
        "failing_since": None if job.failing_since is None else rfc3339(job.failing_since),
        "created_at": rfc3339(job.created_at),
        "due_at": rfc3339(job.due_at),
        "finished_at": None if job.finished_at is None else rfc3339(job.finished_at),
        "last_error": job.last_error,
        "note": job.note,
    }


OPERATIONS: Final = (
    Operation(
        "GET", "/api/v1/admin/jobs", list_jobs, "Jobs, the newest first.",
        access=_ADMIN, answers={200: Listed[JobCard]}, query=JobsQuery,
    ),
    Operation(
        "GET", "/api/v1/admin/jobs/{job_id}", show_job, "A job with what it was given.",
        access=_ADMIN, answers={200: JobPage}, problems=("job_not_found",),
    ),
    Operation(
        "POST", "/api/v1/admin/jobs/{job_id}/retry", retry,
        "Do it at once: a job that waits, was given up or was dropped.",
        access=_ADMIN, answers={200: JobPage}, problems=("job_not_found", "job_not_waiting"),
    ),
    Operation(
        "POST", "/api/v1/admin/jobs/{job_id}/drop", drop, "Never do it, and say why.",
        access=_ADMIN, answers={200: JobPage}, asks=Dropping, problems=("job_not_found", "job_not_waiting"),
    ),
)  # fmt: skip
