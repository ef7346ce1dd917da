"""Films, theatres, screens and layouts: reads shaped for the pages that show them, and plain writes.

A film's status is never stored: it follows from its dates and its showtimes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg
import orjson

from actors.seatmap.terms import Instant, RefundStep
from persistence.database import Executor
from persistence.moments import moment

NEW_DAYS = 90
"""How long a film counts as showing after its release when nobody has said how long it runs."""


@dataclass(frozen=True, slots=True)
class Movie:
    id: str
    title: str
    description: str
    duration_minutes: int
    genres: tuple[str, ...]
    languages: tuple[str, ...]
    certificate: str
    cast: tuple[str, ...]
    director: str
    poster_url: str | None
    trailer_url: str | None
    release_date: date | None
    end_date: date | None
    external_ids: Mapping[str, Any]
    publication: str
    revision: int = 1
    status: str = ""
    next_showtimes_count: int = 0
    sort_key: str = ""


@dataclass(frozen=True, slots=True)
class MovieFilter:
    """What to list. `after` is (sort key, id) of the last one seen."""

    text: str | None = None
    genre: str | None = None
    language: str | None = None
    status: str | None = None
    day: date | None = None
    city: str | None = None
    after: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Theatre:
    id: str
    name: str
    city: str
    address: str
    pincode: str
    lat: float | None
    lng: float | None
    amenities: tuple[str, ...]
    contact: Mapping[str, Any]
    time_zone: str
    currency: str
    refund_policy: tuple[RefundStep, ...] = ()
    revision: int = 1
    distance_km: float | None = None
    sort_key: str = ""


@dataclass(frozen=True, slots=True)
class TheatreFilter:
    """What to list, by name, or by distance when `near` (lat, lng) is given. `after` is (sort key, id)."""

    text: str | None = None
    city: str | None = None
    near: tuple[float, float] | None = None
    radius_km: float = 50.0
    after: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Screen:
    id: str
    theatre_id: str
    name: str
    formats: tuple[str, ...]
    layout_id: str
    layout_version: int
    capacity: int
    revision: int = 1


@dataclass(frozen=True, slots=True)
class LayoutRow:
    """A stored layout version. `plan` is what `actors.seatmap.layout` reads a `Layout` from."""

    id: str
    family_id: str
    version: int
    name: str
    capacity: int
    plan: Mapping[str, Any]


_OF_ONE = """CROSS JOIN LATERAL (
        SELECT count(*) FROM showtime s
        WHERE s.movie_id = m.id AND s.status = 'scheduled' AND s.starts_at > $1) upcoming"""

# Counted once for all films, and MATERIALIZED so that it is once also while PostgreSQL has no statistics of new tables:
# counted for each of a list, it depends on the planner's luck whether that is quick.
_OF_ALL = """LEFT JOIN (
        WITH counted AS MATERIALIZED (
            SELECT s.movie_id, count(*) FROM showtime s WHERE s.status = 'scheduled' AND s.starts_at > $1
            GROUP BY s.movie_id)
        SELECT * FROM counted) upcoming ON upcoming.movie_id = m.id"""


def _films(source: str, key: str, upcoming: str) -> str:
    return f"""
    SELECT m.*, {key} AS key, coalesce(upcoming.count, 0) AS upcoming,
        CASE WHEN m.end_date < $2 THEN 'ended'
             WHEN m.release_date > $2 THEN 'coming_soon'
             WHEN upcoming.count > 0 THEN 'now_showing'
             WHEN m.release_date IS NULL THEN 'coming_soon'
             WHEN m.end_date IS NOT NULL OR m.release_date > $2 - {NEW_DAYS} THEN 'now_showing'
             ELSE 'ended' END AS status
    FROM {source} {upcoming}"""


MOVIES = _films("movie m", "m.folded", _OF_ONE)
"""One film. $1 and $2 are now, as a moment and as a day."""

_TITLED = _films("movie m", "m.folded", _OF_ALL)
"""By `key` they are in the order of their titles."""

_MEANT = _films("films_meant($3, $6) f JOIN movie m ON m.id = f.id", 'f.key COLLATE "C"', _OF_ALL)
_NOBODY = "00000000-0000-0000-0000-000000000000"


def found_by(text: str | None) -> str:
    """Films by title, or those that a text means with the best match first.

    The text is $3, the key and id of the last one seen are $4 and $5, and $6 is a state of publication.
    """
    films, key, found = (
        (_TITLED, "m.folded", "$3::text IS NULL") if text is None else (_MEANT, 'f.key COLLATE "C"', "true")
    )
    # Without an OR the index is read from the right place, whether there is a last one or not.
    return f"""
        {films} WHERE {found} AND ({key}, m.id) > (coalesce($4::text, ''), coalesce($5::uuid, '{_NOBODY}'))
            AND ($6::text IS NULL OR m.publication = $6)"""


async def movies(connection: Executor, wanted: MovieFilter, now: Instant, limit: int) -> list[Movie]:
    """Published films by title, or by how well they match a text."""
    after_key, after_id = wanted.after or (None, None)
    at = moment(now)
    rows = await connection.fetch(
        f"""
        SELECT * FROM ({found_by(wanted.text)}
              AND ($7::text IS NULL OR lower($7) = ANY(SELECT lower(g) FROM unnest(m.genres) g))
              AND ($8::text IS NULL OR lower($8) = ANY(SELECT lower(l) FROM unnest(m.languages) l))
              AND (($9::date IS NULL AND $10::text IS NULL) OR EXISTS (
                    SELECT FROM showtime s JOIN screen c ON c.id = s.screen_id JOIN theatre t ON t.id = c.theatre_id
                    WHERE s.movie_id = m.id AND s.status NOT IN ('draft', 'cancelled')
                      AND ($10::text IS NULL OR fold(t.city) = fold($10))
                      AND CASE WHEN $9::date IS NULL THEN s.ends_at > $1
                               ELSE (s.starts_at AT TIME ZONE t.time_zone - interval '6 hours')::date = $9 END))
        ) movie
        WHERE $11::text IS NULL OR status = $11
        ORDER BY key, id LIMIT $12
        """,
        at, at.date(), wanted.text, after_key, after_id, "published", wanted.genre, wanted.language, wanted.day,
        wanted.city, wanted.status, limit,
    )  # fmt: skip
    return [movie_of(row) for row in rows]


async def movie(connection: Executor, movie_id: str, now: Instant) -> Movie | None:
    """A published film."""
    at = moment(now)
    row = await connection.fetchrow(
        f"{MOVIES} WHERE m.id = $3 AND m.publication = 'published'", at, at.date(), movie_id
    )
    return None if row is None else movie_of(row)


async def ids_of(connection: Executor, films: Sequence[Movie]) -> dict[str, str]:
    """By the id that each film would have had, the id under which it is there: its own, or that of an import."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (f.id) f.id::text AS wanted, m.id::text
        FROM jsonb_to_recordset($1::jsonb) AS f(id uuid, title text, release_date date)
        JOIN movie m ON lower(m.title) = lower(f.title) AND m.release_date IS NOT DISTINCT FROM f.release_date
        ORDER BY f.id, m.id <> f.id, m.id
        """,
        orjson.dumps([_movie_json(film) for film in films]),
    )
    return {row["wanted"]: row["id"] for row in rows}


async def put_movies(connection: Executor, films: Sequence[Movie]) -> int:
    """Add films; one that is already there stays as it is. Returns how many are new.

    It is there when one has its title and release date, or its `list` among the external ids.
    """
    rows = await connection.fetch(
        """
        INSERT INTO movie (id, title, description, duration_minutes, genres, languages, certificate, cast_names,
            director, poster_url, trailer_url, release_date, end_date, external_ids, publication)
        SELECT f.id, f.title, f.description, f.duration_minutes,
            ARRAY(SELECT jsonb_array_elements_text(f.genres)), ARRAY(SELECT jsonb_array_elements_text(f.languages)),
            f.certificate, ARRAY(SELECT jsonb_array_elements_text(f.cast_names)), f.director, f.poster_url,
            f.trailer_url, f.release_date, f.end_date, f.external_ids, f.publication
        FROM jsonb_to_recordset($1::jsonb) AS f(id uuid, title text, description text, duration_minutes integer,
            genres jsonb, languages jsonb, certificate text, cast_names jsonb, director text, poster_url text,
            trailer_url text, release_date date, end_date date, external_ids jsonb, publication text)
        WHERE NOT EXISTS (SELECT FROM movie m WHERE lower(m.title) = lower(f.title)
                AND m.release_date IS NOT DISTINCT FROM f.release_date)
            AND NOT EXISTS (SELECT FROM movie m WHERE m.external_ids ->> 'list' = f.external_ids ->> 'list')
        ON CONFLICT DO NOTHING RETURNING id
        """,
        orjson.dumps([_movie_json(film) for film in films]),
    )
    return len(rows)


_THEATRE_KM = """CASE WHEN $3::float8 IS NULL OR t.lat IS NULL THEN NULL ELSE 12742 * asin(sqrt(least(1,
    sin(radians(t.lat - $3) / 2) ^ 2 + cos(radians($3)) * cos(radians(t.lat)) * sin(radians(t.lng - $4::float8) / 2) ^ 2
    ))) END"""


async def theatres(connection: Executor, wanted: TheatreFilter, limit: int) -> list[Theatre]:
    lat, lng = wanted.near or (None, None)
    after_key, after_id = wanted.after or (None, None)
    rows = await connection.fetch(
        f"""
        SELECT * FROM (
            SELECT t.*, km.km, CASE WHEN km.km IS NULL THEN lower(t.name)
                ELSE to_char(km.km, 'FM00000.000000') END AS key
            FROM theatre t CROSS JOIN LATERAL (SELECT {_THEATRE_KM} AS km) km
            WHERE ($1::text IS NULL OR fold(t.city) = fold($1))
              AND ($2::text IS NULL OR position(fold($2) IN fold(t.name || ' ' || t.city || ' ' || t.address)) > 0)
              AND ($3::float8 IS NULL OR km.km <= $5::float8)
        ) theatre
        WHERE $6::text IS NULL OR (key, id) > ($6, $7::uuid)
        ORDER BY key, id LIMIT $8
        """,
        wanted.city, wanted.text, lat, lng, wanted.radius_km, after_key, after_id, limit,
    )  # fmt: skip
    return [theatre_of(row) for row in rows]


async def theatre(connection: Executor, theatre_id: str) -> Theatre | None:
    row = await connection.fetchrow("SELECT *, NULL::float8 AS km, '' AS key FROM theatre WHERE id = $1", theatre_id)
    return None if row is None else theatre_of(row)


async def put_theatre(connection: Executor, theatre: Theatre) -> None:
    """Add a theatre; one with the same id stays as it is."""
    await connection.execute(
        """
        INSERT INTO theatre (id, name, city, address, pincode, lat, lng, amenities, contact, time_zone, currency,
            refund_policy)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING
        """,
        theatre.id, theatre.name, theatre.city, theatre.address, theatre.pincode, theatre.lat, theatre.lng,
        theatre.amenities, orjson.dumps(theatre.contact), theatre.time_zone, theatre.currency,
        orjson.dumps(theatre.refund_policy),
    )  # fmt: skip


_SCREEN = """
    SELECT c.*, l.version AS layout_version, l.capacity FROM screen c JOIN layout l ON l.id = c.layout_id"""


async def screen(connection: Executor, screen_id: str) -> Screen | None:
    row = await connection.fetchrow(f"{_SCREEN} WHERE c.id = $1", screen_id)
    return None if row is None else screen_of(row)


async def put_screen(
    connection: Executor, screen_id: str, theatre_id: str, name: str, formats: Sequence[str], layout_id: str
) -> None:
    """Add a screen; one with the same id stays as it is."""
    await connection.execute(
        """
        INSERT INTO screen (id, theatre_id, name, formats, layout_id) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO NOTHING
        """,
        screen_id, theatre_id, name, formats, layout_id,
    )  # fmt: skip


async def layouts(connection: Executor, after: tuple[str, str] | None, limit: int) -> list[LayoutRow]:
    """The newest version of every layout, by name, without their plans."""
    after_name, after_id = after or (None, None)
    rows = await connection.fetch(
        """
        SELECT id, family_id, version, name, capacity, '{}'::jsonb AS plan FROM (
            SELECT DISTINCT ON (family_id) * FROM layout ORDER BY family_id, version DESC) newest
        WHERE $1::text IS NULL OR (lower(name), id) > ($1, $2::uuid)
        ORDER BY lower(name), id LIMIT $3
        """,
        after_name, after_id, limit,
    )  # fmt: skip
    return [_layout(row) for row in rows]


async def layout(connection: Executor, layout_id: str) -> LayoutRow | None:
    row = await connection.fetchrow(
        "SELECT id, family_id, version, name, capacity, plan FROM layout WHERE id = $1", layout_id
    )
    return None if row is None else _layout(row)


async def layout_of_screen(connection: Executor, screen_id: str, version: int | None) -> LayoutRow | None:
    """The present layout of a screen, or another version of the same drawing."""
    row = await connection.fetchrow(
        """
        SELECT v.id, v.family_id, v.version, v.name, v.capacity, v.plan
        FROM screen c JOIN layout l ON l.id = c.layout_id JOIN layout v ON v.family_id = l.family_id
        WHERE c.id = $1 AND v.version = coalesce($2::integer, l.version)
        """,
        screen_id, version,
    )  # fmt: skip
    return None if row is None else _layout(row)


async def put_layout(connection: Executor, layout: LayoutRow) -> None:
    """Add a layout version; one with the same id stays as it is."""
    await connection.execute(
        """
        INSERT INTO layout (id, family_id, version, name, capacity, plan) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (id) DO NOTHING
        """,
        layout.id, layout.family_id, layout.version, layout.name, layout.capacity, orjson.dumps(layout.plan),
    )  # fmt: skip


def movie_of(row: asyncpg.Record) -> Movie:
    return Movie(
        id=str(row["id"]),
        title=row["title"],
        description=row["description"],
        duration_minutes=row["duration_minutes"],
        genres=tuple(row["genres"]),
        languages=tuple(row["languages"]),
        certificate=row["certificate"],
        cast=tuple(row["cast_names"]),
        director=row["director"],
        poster_url=row["poster_url"],
        trailer_url=row["trailer_url"],
        release_date=row["release_date"],
        end_date=row["end_date"],
        external_ids=orjson.loads(row["external_ids"]),
        publication=row["publication"],
        revision=row["revision"],
        status=row["status"],
        next_showtimes_count=row["upcoming"],
        sort_key=row["key"],
    )


def _movie_json(film: Movie) -> dict[str, Any]:
    return {
        "id": film.id,
        "title": film.title,
        "description": film.description,
        "duration_minutes": film.duration_minutes,
        "genres": film.genres,
        "languages": film.languages,
        "certificate": film.certificate,
        "cast_names": film.cast,
        "director": film.director,
        "poster_url": film.poster_url,
        "trailer_url": film.trailer_url,
        "release_date": film.release_date,
        "end_date": film.end_date,
        "external_ids": film.external_ids,
        "publication": film.publication,
    }


def policy_of(stored: bytes) -> tuple[RefundStep, ...]:
    return tuple(RefundStep(**step) for step in orjson.loads(stored))


def theatre_of(row: asyncpg.Record) -> Theatre:
    return Theatre(
        id=str(row["id"]),
        name=row["name"],
        city=row["city"],
        address=row["address"],
        pincode=row["pincode"],
        lat=row["lat"],
        lng=row["lng"],
        amenities=tuple(row["amenities"]),
        contact=orjson.loads(row["contact"]),
        time_zone=row["time_zone"],
        currency=row["currency"],
        refund_policy=policy_of(row["refund_policy"]),
        revision=row["revision"],
        distance_km=row["km"],
        sort_key=row["key"],
    )


def screen_of(row: asyncpg.Record) -> Screen:
    return Screen(
        id=str(row["id"]),
        theatre_id=str(row["theatre_id"]),
        name=row["name"],
        formats=tuple(row["formats"]),
        layout_id=str(row["layout_id"]),
        layout_version=row["layout_version"],
        capacity=row["capacity"],
        revision=row["revision"],
    )


def _layout(row: asyncpg.Record) -> LayoutRow:
    return LayoutRow(
        id=str(row["id"]),
        family_id=str(row["family_id"]),
        version=row["version"],
        name=row["name"],
        capacity=row["capacity"],
        plan=orjson.loads(row["plan"]),
    )
