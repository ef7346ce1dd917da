"""Bulk import of films and layouts from files, for the command line."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import NAMESPACE_URL, uuid5

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from actors.ids import mint
from actors.runtime.clock import SystemClock
from actors.seatmap import pretix
from actors.seatmap.layout import LayoutInvalid, from_plan
from persistence import catalog
from persistence.catalog import Movie
from persistence.database import open_pool
from persistence.layouts import to_row

PIECE: Final = 100
Progress = Callable[[int, int], None]
"""Told how many are done, of how many."""


class ImportRefused(Exception):
    """The file is not what it should be; the message is a sentence for the person who named it."""


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[str, AfterValidator(_storable)]


class ListedFilm(BaseModel):
    """A film as lists have it. What a list does not know stays empty."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    title: Text = Field(min_length=1, max_length=300, pattern=r"\S")
    duration_minutes: int = Field(ge=1, le=900)
    release_date: date | None = None
    certificate: Text | None = None
    genre: Text | None = None
    genres: list[Text] = []
    languages: list[Text] = []
    director: Text | None = None
    cast: list[Text] = []
    description: Text = ""
    external_ids: dict[Text, Text] = {}


async def import_movies(dsn: str, file: Path, heard: Progress = lambda done, of: None) -> tuple[int, int]:
    """Add the films of a JSON list, published; returns how many it names and how many were new. ImportRefused.

    The same list again adds nothing, whatever its films are called by now: each carries its name on the list as the
    external id `list`.
    """
    try:
        listed = TypeAdapter(list[ListedFilm]).validate_json(_read(file))
    except OSError as error:
        raise ImportRefused(f"{file} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        complaint = ": ".join(filter(None, (".".join(map(str, first["loc"])), message)))
        raise ImportRefused(f"{file} is not a list of films: {complaint}.") from error
    pool = await open_pool(dsn)
    try:
        new = 0
        for begin in range(0, len(listed), PIECE):
            piece = listed[begin : begin + PIECE]
            new += await catalog.put_movies(pool, [_movie(film) for film in piece])
            heard(begin + len(piece), len(listed))
    finally:
        await pool.close()
    return len(listed), new


async def import_layout(dsn: str, file: Path) -> tuple[str, int]:
    """Add a layout from our own plan format or a pretix seating plan; returns its id and capacity. ImportRefused.

    The same file again finds the layout that is already there.
    """
    try:
        raw = _read(file)
        document: Any = orjson.loads(raw)
    except OSError as error:
        raise ImportRefused(f"{file} cannot be read: {error.strerror}.") from error
    except orjson.JSONDecodeError as error:
        raise ImportRefused(f"{file} is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise ImportRefused(f"{file} is not a seating plan: an object is expected.")
    layout_id = str(uuid5(NAMESPACE_URL, f"layout:{raw.hex()}"))
    try:
        plan = pretix.to_plan(document) if pretix.is_pretix(document) else document
        layout = from_plan(layout_id, 1, plan)
    except (LayoutInvalid, KeyError, TypeError, AttributeError) as error:
        raise ImportRefused(f"{file} is not a seating plan: {error}.") from error
    pool = await open_pool(dsn)
    try:
        await catalog.put_layout(pool, to_row(layout, layout_id))
    finally:
        await pool.close()
    return layout_id, layout.capacity


def _read(file: Path) -> bytes:
    return file.read_bytes()


def _movie(film: ListedFilm) -> Movie:
    return Movie(
        id=mint(SystemClock().now()),
        title=film.title,
        description=film.description,
        duration_minutes=film.duration_minutes,
        genres=tuple(film.genres or filter(None, (film.genre or "").split("/"))),
        languages=tuple(film.languages),
        certificate=film.certificate or "",
        cast=tuple(film.cast),
        director=film.director or "",
        poster_url=None,
        trailer_url=None,
        release_date=film.release_date,
        end_date=None,
        external_ids={"list": f"{film.title} ({film.release_date or 'undated'})", **film.external_ids},
        publication="published",
    )
