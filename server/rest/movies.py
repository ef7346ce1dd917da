"""Films: the list, one film, and where it runs."""

from typing import Final, Literal

from aiohttp import web
from pydantic import Field
from typing_extensions import TypedDict

from persistence import catalog
from persistence.catalog import Movie, MovieFilter
from persistence.programme import ProgrammeFilter
from server.aliases import alias
from server.cards import MovieCard, movie_card
from server.errors import not_found
from server.kept import kept
from server.keys import CLOCK, POOL
from server.listings import ShowtimeCard, TheatreOf, after_start, days_from, showtime_list
from server.operations import PUBLIC, Operation
from server.requests import Cursor, Day, Id, Page, Text, path_id, read_query
from server.responses import public_answer
from server.shapes import Listed


class MoviesQuery(Page):
    q: Text | None = None
    title: Text | None = None
    genre: Text | None = None
    language: Text | None = None
    status: Literal["coming_soon", "now_showing", "ended"] | None = None
    date: Day | None = None
    city: Text | None = None


class MovieShowtimesQuery(Page):
    date: Day | None = None
    days: int = Field(1, ge=1, le=30)
    theatre_id: Id | None = None
    language: Text | None = None
    format: Text | None = None
    group: Literal["theatre"] | None = None


class TheatreShowtimes(TypedDict):
    """With `group=theatre`: what one theatre shows of the film."""

    theatre: TheatreOf
    showtimes: list[ShowtimeCard]


async def list_movies(request: web.Request) -> Listed[MovieCard]:
    query = read_query(request, MoviesQuery)
    cursor = Cursor.read(query.cursor)
    wanted = MovieFilter(
        text=query.q or query.title,
        genre=query.genre,
        language=query.language,
        status=query.status,
        day=query.date,
        city=query.city,
        after=(cursor.key, cursor.id) if cursor else None,
    )
    rows = await catalog.movies(request.app[POOL], wanted, request.app[CLOCK].now(), query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    return {
        "items": [movie_card(movie) for movie in shown],
        "next_cursor": Cursor(key=last.sort_key, id=last.id).text() if last else None,
    }


async def one_movie(request: web.Request) -> web.Response:
    return public_answer(request, movie_card(await _movie(request)))


async def movie_showtimes(request: web.Request) -> web.Response:
    movie = await _movie(request)
    query = read_query(request, MovieShowtimesQuery)
    since, until = days_from(query.date, query.days) if query.date else (None, None)
    wanted = ProgrammeFilter(
        movie_id=movie.id,
        theatre_id=query.theatre_id,
        since_day=since,
        until_day=until,
        ending_after=None if query.date else request.app[CLOCK].now(),
        language=query.language,
        format=query.format,
        after=after_start(Cursor.read(query.cursor)),
    )
    page = await showtime_list(request, wanted, query)
    return public_answer(request, _by_theatre(page) if query.group else page)


_ALL: Final = "/api/v1/movies"
OPERATIONS: Final = (
    Operation(
        method="GET",
        path=_ALL,
        handler=kept(list_movies),
        summary="Find films, by title",
        access=PUBLIC,
        answers={200: Listed[MovieCard], 304: None},
        query=MoviesQuery,
    ),
    alias("GET", f"{_ALL}/upcoming", _ALL, status="coming_soon"),
    alias("GET", f"{_ALL}/search", _ALL),
    Operation(
        method="GET",
        path=f"{_ALL}/{{movie_id}}",
        handler=one_movie,
        summary="A film",
        access=PUBLIC,
        answers={200: MovieCard, 304: None},
        problems=("movie_not_found",),
    ),
    Operation(
        method="GET",
        path=f"{_ALL}/{{movie_id}}/showtimes",
        handler=movie_showtimes,
        summary="Where and when a film runs",
        access=PUBLIC,
        answers={200: Listed[ShowtimeCard] | Listed[TheatreShowtimes], 304: None},
        query=MovieShowtimesQuery,
        problems=("movie_not_found",),
    ),
)


async def _movie(request: web.Request) -> Movie:
    movie = await catalog.movie(request.app[POOL], path_id(request, "movie_id", "movie"), request.app[CLOCK].now())
    if movie is None:
        raise not_found("movie")
    return movie


def _by_theatre(page: Listed[ShowtimeCard]) -> Listed[TheatreShowtimes]:
    groups: dict[str, TheatreShowtimes] = {}
    for showtime in page["items"]:
        theatre = showtime["theatre"]
        groups.setdefault(theatre["id"], {"theatre": theatre, "showtimes": []})["showtimes"].append(showtime)
    return {"items": list(groups.values()), "next_cursor": page["next_cursor"]}
