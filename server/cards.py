"""How films, theatres and screens look on the wire."""

from typing import Any

from persistence.catalog import Movie, Screen, Theatre


def movie_card(movie: Movie) -> dict[str, Any]:
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


def theatre_card(theatre: Theatre) -> dict[str, Any]:
    geo = None if theatre.lat is None else {"lat": theatre.lat, "lng": theatre.lng}
    card: dict[str, Any] = {
        "id": theatre.id,
        "name": theatre.name,
        "city": theatre.city,
        "address": theatre.address,
        "pincode": theatre.pincode,
        "geo": geo,
        "amenities": theatre.amenities,
        "contact": theatre.contact,
        "time_zone": theatre.time_zone,
        "currency": theatre.currency,
    }
    if theatre.distance_km is not None:
        card["distance_km"] = round(theatre.distance_km, 2)
    return card


def screen_card(screen: Screen) -> dict[str, Any]:
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
