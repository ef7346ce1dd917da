"""Films as those who run the catalogue see them: drafts and archived ones too, and every write to them.

A film is known by its title and the set of its languages. Who adds or renames one first takes that name
(`take_name`), so that of two who think of the same film at once, one hears that it is there already.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from actors.seatmap.terms import Instant
from persistence.catalog import MOVIES, Movie, found_by, movie_of
from persistence.database import Connection, Executor
from persistence.moments import moment

_NAMES_LOCK: Final = 7_001_002


class MovieExists(Exception):
    """There is a film with this title in these languages."""


class HasShowtimes(Exception):
    """The film is in the programme, so it stays."""


class HasSales(HasShowtimes):
    """Somebody booked a seat for it."""


@dataclass(frozen=True, slots=True)
class MovieSearch:
    """What to list. `after` is (sort key, id) of the last one seen."""

    text: str | None = None
    publication: str | None = None
    after: tuple[str, str] | None = None


async def listed(connection: Executor, wanted: MovieSearch, now: Instant, limit: int) -> list[Movie]:
    """Films by title, or by how well they match a text, published or not."""
    after_key, after_id = wanted.after or (None, None)
    at = moment(now)
    rows = await connection.fetch(
        f"{found_by(wanted.text)} ORDER BY key, m.id LIMIT $7",
        at, at.date(), wanted.text, after_key, after_id, wanted.publication, limit,
    )  # fmt: skip
    return [movie_of(row) for row in rows]


async def found(connection: Executor, movie_id: str, now: Instant) -> Movie | None:
    at = moment(now)
    row = await connection.fetchrow(f"{MOVIES} WHERE m.id = $3", at, at.date(), movie_id)
    return None if row is None else movie_of(row)


async def take(connection: Connection, movie_id: str, now: Instant) -> Movie | None:
    """The film, kept from other writers, and from new showtimes, until the transaction ends."""
    await connection.execute("SELECT FROM movie WHERE id = $1 FOR UPDATE", movie_id)
    return await found(connection, movie_id, now)


async def add(connection: Connection, film: Movie, now: Instant) -> None:
    """MovieExists."""
    await _take_name(connection, film)
    await connection.execute(
        """
        INSERT INTO movie (id, title, description, duration_minutes, genres, languages, certificate, cast_names,
            director, poster_url, trailer_url, release_date, end_date, external_ids, updated_at, publication)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        """,
        *_values(film, now), film.publication,
    )  # fmt: skip


async def write(connection: Connection, film: Movie, now: Instant, *, renamed: bool) -> None:
    """Write everything about a film that was taken. MovieExists when it was `renamed` to what is there already."""
    if renamed:
        await _take_name(connection, film)
    await connection.execute(
        """
        UPDATE movie SET title = $2, description = $3, duration_minutes = $4, genres = $5, languages = $6,
            certificate = $7, cast_names = $8, director = $9, poster_url = $10, trailer_url = $11, release_date = $12,
            end_date = $13, external_ids = $14, updated_at = $15, publication = $16, revision = revision + 1
        WHERE id = $1
        """,
        *_values(film, now), film.publication,
    )  # fmt: skip


async def delete(connection: Connection, movie_id: str) -> None:
    """Take a film away that was taken and never was in the programme. HasShowtimes, HasSales."""
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM showtime WHERE movie_id = $1) AS shown,
            EXISTS (SELECT FROM booking b JOIN showtime s ON s.id = b.showtime_id WHERE s.movie_id = $1) AS sold
        """,
        movie_id,
    )
    assert row is not None
    if row["sold"]:
        raise HasSales(movie_id)
    if row["shown"]:
        raise HasShowtimes(movie_id)
    await connection.execute("DELETE FROM movie WHERE id = $1", movie_id)


async def _take_name(connection: Connection, film: Movie) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext(lower($2)))", _NAMES_LOCK, film.title)
    taken = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM movie m WHERE lower(m.title) = lower($1) AND m.id <> $2
            AND ARRAY(SELECT DISTINCT lower(l) FROM unnest(m.languages) l ORDER BY 1)
              = ARRAY(SELECT DISTINCT lower(l) FROM unnest($3::text[]) l ORDER BY 1))
        """,
        film.title, film.id, film.languages,
    )  # fmt: skip
    if taken:
        raise MovieExists(film.title)


def _values(film: Movie, now: Instant) -> tuple[Any, ...]:
    return (
        film.id,
        film.title,
        film.description,
        film.duration_minutes,
        film.genres,
        film.languages,
        film.certificate,
        film.cast,
        film.director,
        film.poster_url,
        film.trailer_url,
        film.release_date,
        film.end_date,
        orjson.dumps(film.external_ids),
        moment(now),
    )
