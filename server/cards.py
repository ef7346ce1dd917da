"""How films, theatres and screens look on the wire."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from persistence.catalog import Movie, Screen, Theatre
from server import wire
from server.shapes import PolicyLine


class MovieCard(TypedDict):
    """`status` follows from the dates and the programme: coming_soon, now_showing or ended."""

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
    status: str
    external_ids: Mapping[str, Any]
    next_showtimes_count: int


class MovieRecord(MovieCard):
    """A film as those who run the catalogue see it. `version` is what `If-Match` compares."""

    publication: Literal["draft", "published", "archived"]
    version: int


def movie_card(movie: Movie) -> MovieCard:
    return {
        "id": movie.id,
        "title": movie.title,
        "description": movie.description,
        "duration_minutes": movie.duration_minutes,
        "genres": movie.genres,
        "languages": movie.languages,
        "certificate": movie.certificate,
        "cast": movie.cast,
        "director": movie.director,
        "poster_url": movie.poster_url,
        "trailer_url": movie.trailer_url,
        "release_date": movie.release_date,
        "end_date": movie.end_date,
        "status": movie.status,
        "external_ids": movie.external_ids,
        "next_showtimes_count": movie.next_showtimes_count,
    }


def movie_record(movie: Movie) -> MovieRecord:
    publication: Any = movie.publication
    return {**movie_card(movie), "publication": publication, "version": movie.revision}


class Place(TypedDict):
    """Degrees."""

    lat: float
    lng: float


class Contact(TypedDict, total=False):
    email: str | None
    phone: str | None
    website: str | None


class TheatreCard(TypedDict):
    """`distance_km` is there when the list was asked for `near` a place."""

    id: str
    name: str
    city: str
    address: str
    pincode: str
    geo: Place | None
    amenities: tuple[str, ...]
    contact: Contact
    time_zone: str
    currency: str
    distance_km: NotRequired[float]


class TheatreRecord(TheatreCard):
    """A theatre as those who run it see it. `version` is what `If-Match` compares.

    `cancellation_policy` is that of its showtimes from now on, unless their planner says something else.
    """

    cancellation_policy: list[PolicyLine]
    version: int


class ScreenCard(TypedDict):
    """`format` is another name of `formats`."""

    id: str
    theatre_id: str
    name: str
    format: tuple[str, ...]
    formats: tuple[str, ...]
    capacity: int
    layout_id: str
    layout_version: int


class ScreenRecord(ScreenCard):
    """A screen as those who run it see it. `version` is what `If-Match` compares."""

    version: int


def theatre_card(theatre: Theatre) -> TheatreCard:
    card: TheatreCard = {
        "id": theatre.id,
        "name": theatre.name,
        "city": theatre.city,
        "address": theatre.address,
        "pincode": theatre.pincode,
        "geo": None if theatre.lat is None or theatre.lng is None else {"lat": theatre.lat, "lng": theatre.lng},
        "amenities": theatre.amenities,
        "contact": _contact(theatre),
        "time_zone": theatre.time_zone,
        "currency": theatre.currency,
    }
    if theatre.distance_km is not None:
        card["distance_km"] = round(theatre.distance_km, 2)
    return card


def theatre_record(theatre: Theatre) -> TheatreRecord:
    return {
        **theatre_card(theatre),
        "cancellation_policy": wire.policy(theatre.refund_policy, theatre.currency),
        "version": theatre.revision,
    }


def screen_card(screen: Screen) -> ScreenCard:
    return {
        "id": screen.id,
        "theatre_id": screen.theatre_id,
        "name": screen.name,
        "format": screen.formats,
        "formats": screen.formats,
        "capacity": screen.capacity,
        "layout_id": screen.layout_id,
        "layout_version": screen.layout_version,
    }


def screen_record(screen: Screen) -> ScreenRecord:
    return {**screen_card(screen), "version": screen.revision}


def _contact(theatre: Theatre) -> Contact:
    contact: Contact = {**theatre.contact}  # type: ignore[typeddict-item]
    return contact
