"""Films as those who run the catalogue see and change them. Administrators write, managers read.

A film begins as a draft, which only staff sees. Published it is in the public lists; archived it is in none, while
showtimes and bookings go on naming it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Final, Literal

from aiohttp import hdrs, web
from pydantic import AfterValidator, BeforeValidator, Field

from actors.ids import mint
from persistence import movies
from persistence.catalog import Movie
from persistence.movies import HasSales, HasShowtimes, MovieExists, MovieSearch
from server.auth.identity import ADMIN, MANAGER
from server.cards import MovieRecord, movie_record
from server.errors import Problem, invalid, not_found
from server.idempotency import idempotent
from server.keys import CLOCK, POOL
from server.operations import Operation
from server.requests import Body, Cursor, Day, Page, Text, path_id, read_body, read_query
from server.responses import answer, no_content
from server.revisions import check, tagged
from server.shapes import Listed

READERS: Final = frozenset((MANAGER, ADMIN))
WRITERS: Final = frozenset((ADMIN,))
WORDS_MAX: Final = 40
CAST_MAX: Final = 200
EXTERNAL_IDS_MAX: Final = 20
NULLABLE: Final = frozenset(("poster_url", "trailer_url", "release_date", "end_date"))


def _line(text: str) -> str:
    """One line without the space around and the doubled space within it."""
    line = " ".join(text.split())
    if not line.isprintable():
        raise ValueError("this text holds characters that are not allowed")
    return line


def _named(text: str) -> str:
    if not text:
        raise ValueError("this cannot be empty")
    return text


def _once(words: Sequence[str]) -> list[str]:
    """Each word once, in the order given, however it is capitalised."""
    return list({word.lower(): word for word in reversed(words)}.values())[::-1]


def _written_day(day: object) -> object:
    if not isinstance(day, str | None):
        raise ValueError("a day looks like 2026-11-21")
    return day


Title = Annotated[str, Field(max_length=300), AfterValidator(_line), AfterValidator(_named)]
Line = Annotated[str, Field(max_length=200), AfterValidator(_line)]
Word = Annotated[str, Field(max_length=60), AfterValidator(_line), AfterValidator(_named)]
Words = Annotated[list[Word], Field(max_length=WORDS_MAX), AfterValidator(_once)]
Person = Annotated[str, Field(max_length=120), AfterValidator(_line), AfterValidator(_named)]
Cast = Annotated[list[Person], Field(max_length=CAST_MAX)]
Minutes = Annotated[int, Field(ge=1, le=900)]
Description = Annotated[str, Field(max_length=10_000), AfterValidator(str.strip)]
Certificate = Annotated[str, Field(max_length=20), AfterValidator(_line)]
Link = Annotated[str, Field(max_length=1_000, pattern=r"^(https?://[^\s/]+(/\S*)?|/[^\s/]\S*)$")]
"""An address on the web, or the path of something uploaded here."""

PlainDay = Annotated[Day, Field(strict=False), BeforeValidator(_written_day)]
ExternalIds = Annotated[
    dict[
        Annotated[str, Field(max_length=40, pattern=r"^[a-z0-9_.-]+$")],
        Annotated[str, Field(min_length=1, max_length=300)],
    ],
    Field(max_length=EXTERNAL_IDS_MAX),
]


class NewMovie(Body):
    title: Title
    description: Description = ""
    duration_minutes: Minutes
    genres: Words = Field(default_factory=list)
    languages: Words = Field(default_factory=list)
    certificate: Certificate = ""
    cast: Cast = Field(default_factory=list)
    director: Line = ""
    poster_url: Link | None = None
    trailer_url: Link | None = None
    release_date: PlainDay | None = None
    end_date: PlainDay | None = None
    external_ids: ExternalIds = Field(default_factory=dict)


class MovieChanges(Body):
    """What is named is changed. Links and days can be null, which takes them away."""

    title: Title | None = None
    description: Description | None = None
    duration_minutes: Minutes | None = None
    genres: Words | None = None
    languages: Words | None = None
    certificate: Certificate | None = None
    cast: Cast | None = None
    director: Line | None = None
    poster_url: Link | None = None
    trailer_url: Link | None = None
    release_date: PlainDay | None = None
    end_date: PlainDay | None = None
    external_ids: ExternalIds | None = None


class AllMoviesQuery(Page):
    q: Text | None = None
    publication: Literal["draft", "published", "archived"] | None = None


async def list_movies(request: web.Request) -> web.Response:
    """Every film by title: drafts and archived ones, too."""
    query = read_query(request, AllMoviesQuery)
    cursor = Cursor.read(query.cursor)
    wanted = MovieSearch(query.q, query.publication, (cursor.key, cursor.id) if cursor else None)
    rows = await movies.listed(request.app[POOL], wanted, request.app[CLOCK].now(), query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    page: Listed[MovieRecord] = {
        "items": [movie_record(film) for film in shown],
        "next_cursor": Cursor(key=last.sort_key, id=last.id).text() if last else None,
    }
    return answer(page)


async def show_movie(request: web.Request) -> web.Response:
    movie_id = path_id(request, "movie_id", "movie")
    return _shown(_demand(await movies.found(request.app[POOL], movie_id, request.app[CLOCK].now())))


async def add_movie(request: web.Request) -> web.Response:
    asked = await read_body(request, NewMovie)
    _demand_order(asked.release_date, asked.end_date)
    now = request.app[CLOCK].now()
    film = Movie(
        id=mint(now),
        title=asked.title,
        description=asked.description,
        duration_minutes=asked.duration_minutes,
        genres=tuple(asked.genres),
        languages=tuple(asked.languages),
        certificate=asked.certificate,
        cast=tuple(asked.cast),
        director=asked.director,
        poster_url=asked.poster_url,
        trailer_url=asked.trailer_url,
        release_date=asked.release_date,
        end_date=asked.end_date,
        external_ids=asked.external_ids,
        publication="draft",
    )
    async with request.app[POOL].acquire() as connection, connection.transaction():
        try:
            await movies.add(connection, film, now)
        except MovieExists:
            raise _exists() from None
        added = _demand(await movies.found(connection, film.id, now))
    return _shown(added, 201)


async def change_movie(request: web.Request) -> web.Response:
    """Change what is named. 412 when somebody else has changed it since the caller looked."""
    asked = await read_body(request, MovieChanges)
    given: dict[str, Any] = {name: getattr(asked, name) for name in asked.model_fields_set}
    if missing := [name for name, value in given.items() if value is None and name not in NULLABLE]:
        raise invalid(missing[0], "This cannot be nothing.")
    return await _write(
        request, {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    )


async def publish_movie(request: web.Request) -> web.Response:
    """Show a film to everybody; what is published already stays as it is."""
    return await _write(request, {"publication": "published"})


async def archive_movie(request: web.Request) -> web.Response:
    """Take a film out of all lists. Showtimes and bookings go on naming it, and it can be published again."""
    return await _write(request, {"publication": "archived"})


async def delete_movie(request: web.Request) -> web.Response:
    """Only a film that never was in the programme; others can be archived."""
    movie_id = path_id(request, "movie_id", "movie")
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = _demand(await movies.take(connection, movie_id, request.app[CLOCK].now()))
        check(request, present.revision)
        try:
            await movies.delete(connection, movie_id)
        except HasSales:
            raise Problem(409, "has_sales", "Tickets for this film were sold. It can be archived.") from None
        except HasShowtimes:
            raise Problem(409, "has_showtimes", "This film is in the programme. It can be archived.") from None
    return no_content()


async def _write(request: web.Request, changes: dict[str, Any]) -> web.Response:
    """Change a film under its lock, unless it is so already. 404, 409 movie_exists, 412, 422."""
    movie_id, now = path_id(request, "movie_id", "movie"), request.app[CLOCK].now()
    async with request.app[POOL].acquire() as connection, connection.transaction():
        present = _demand(await movies.take(connection, movie_id, now))
        check(request, present.revision)
        wanted = replace(present, **changes)
        if wanted == present:
            return _shown(present)
        _demand_order(wanted.release_date, wanted.end_date)
        try:
            await movies.write(connection, wanted, now, renamed=_name(wanted) != _name(present))
        except MovieExists:
            raise _exists() from None
        return _shown(_demand(await movies.found(connection, movie_id, now)))


def _name(film: Movie) -> tuple[str, frozenset[str]]:
    return film.title.lower(), frozenset(language.lower() for language in film.languages)


def _demand(film: Movie | None) -> Movie:
    if film is None:
        raise not_found("movie")
    return film


def _demand_order(release_date: date | None, end_date: date | None) -> None:
    if release_date is not None and end_date is not None and end_date < release_date:
        raise invalid("end_date", "A film cannot end before it is released.")


def _exists() -> Problem:
    return Problem(409, "movie_exists", "There is already a film with this title in these languages.")


def _shown(film: Movie, status: int = 200) -> web.Response:
    headers = {**tagged(film.revision)}
    if status == 201:
        headers[hdrs.LOCATION] = f"/api/v1/admin/movies/{film.id}"
    return answer(movie_record(film), status, headers)


_ALL: Final = "/api/v1/admin/movies"
_ONE: Final = "/api/v1/admin/movies/{movie_id}"
_PATCH: Final = Operation(
    method="PATCH",
    path=_ONE,
    handler=change_movie,
    summary="Change a film",
    access=WRITERS,
    answers={200: MovieRecord},
    asks=MovieChanges,
    problems=("movie_not_found", "movie_exists", "precondition_failed"),
)
OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_ALL,
        handler=list_movies,
        summary="List all films, published or not",
        access=READERS,
        answers={200: Listed[MovieRecord]},
        query=AllMoviesQuery,
    ),
    Operation(
        method="POST",
        path=_ALL,
        handler=idempotent(add_movie),
        summary="Add a film, as a draft",
        access=WRITERS,
        answers={201: MovieRecord},
        asks=NewMovie,
        problems=("movie_exists",),
    ),
    Operation(
        method="GET",
        path=_ONE,
        handler=show_movie,
        summary="A film as those who run the catalogue see it",
        access=READERS,
        answers={200: MovieRecord},
        problems=("movie_not_found",),
    ),
    _PATCH,
    _PATCH.also("PUT", _ONE),
    Operation(
        method="DELETE",
        path=_ONE,
        handler=delete_movie,
        summary="Delete a film that never was in the programme",
        access=WRITERS,
        answers={204: None},
        problems=("movie_not_found", "precondition_failed", "has_sales", "has_showtimes"),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/publish",
        handler=idempotent(publish_movie),
        summary="Show a film to everybody",
        access=WRITERS,
        answers={200: MovieRecord},
        problems=("movie_not_found", "precondition_failed"),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/archive",
        handler=idempotent(archive_movie),
        summary="Take a film out of all lists",
        access=WRITERS,
        answers={200: MovieRecord},
        problems=("movie_not_found", "precondition_failed"),
    ),
)
