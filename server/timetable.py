"""From what a planner asks to a showtime that can take place there and then: the rules of planning.

A film has to fit its slot, its language and format have to fit film and screen, and every category of the hall needs a
price. Whether the screen is free is the database's business (`persistence/timetable.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from actors.seatmap.terms import Instant, OrphanRule, RefundStep, Tariff, Terms
from persistence.moments import instant
from persistence.programme import LONGEST_MS, NewShowtime
from persistence.timetable import HOLD_FACTOR_MAX, Film, Hall, Occupied, Planned
from server.errors import Problem, invalid
from server.requests import Body, Id, WireTime
from server.wall_clock import AmbiguousTime, NoSuchTime, resolve
from server.wire import rfc3339

MINUTE_MS: Final = 60_000
HOLD_SECONDS: Final = 600
TRAILERS_MINUTES: Final = 15
CLEANING_MINUTES: Final = 15
ADULT: Final = "adult"
"""The ticket type of somebody who names none, where it is sold for every category."""

AMOUNT_MAX: Final = 100_000_000


def _from_text(text: object) -> object:
    if isinstance(text, datetime):
        return text
    if not isinstance(text, str) or len(text) < len("2026-11-21T18:00"):
        raise ValueError("a time looks like 2026-11-21T18:00:00Z")
    return datetime.fromisoformat(text)


def _without_offset(at: datetime) -> datetime:
    if at.tzinfo is not None:
        raise ValueError("a local time has no offset")
    if not 1900 <= at.year < 2200:
        raise ValueError("this time is too far away")
    return at


Moment = Annotated[WireTime, BeforeValidator(_from_text)]
LocalTime = Annotated[datetime, AfterValidator(_without_offset), BeforeValidator(_from_text)]
T = TypeVar("T")
Word = Annotated[str, Field(min_length=1, max_length=60)]
Amount = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]


class Price(Body):
    """What one kind of ticket costs in one category, in minor units, before fee and tax."""

    category: Word
    ticket_type: Word
    amount: Amount


class RefundLine(Body):
    """Cancelled at least `hours_before` the start: so much comes back, less the fee."""

    hours_before: Annotated[int, Field(ge=0, le=8_760)]
    refund_pct: Annotated[int, Field(ge=0, le=100)]
    fee: Amount = 0


def _falling(lines: list[RefundLine]) -> list[RefundLine]:
    """Longest notice first. Who waits longer never gets more."""
    ordered = sorted(lines, key=lambda line: -line.hours_before)
    for longer, shorter in pairwise(ordered):
        if longer.hours_before == shorter.hours_before:
            raise ValueError(f"{shorter.hours_before} hours are named twice")
        if shorter.refund_pct > longer.refund_pct:
            raise ValueError(f"at {shorter.hours_before} hours no more can come back than at {longer.hours_before}")
    return ordered


Policy = Annotated[list[RefundLine], Field(max_length=20), AfterValidator(_falling)]


class Selling(Body):
    """How a showtime is sold: prices, limits, and what comes back."""

    prices: Annotated[list[Price], Field(min_length=1, max_length=500)] | None = None
    default_ticket_type: Word | None = None
    fee: Amount | None = None
    tax_bps: Annotated[int, Field(ge=0, le=10_000)] | None = None
    cancellation_policy: Policy | None = None
    hold_ttl_s: Annotated[int, Field(ge=1, le=3_600)] | None = None
    max_seats: Annotated[int, Field(ge=1, le=100)] | None = None
    orphan_rule: Literal["off", "lenient"] | None = None


class Showing(Selling):
    """What is shown, and how long everything takes. The runtime is the film's unless it says otherwise."""

    movie_id: Id | None = None
    language: Word | None = None
    format: Word | None = None
    runtime_minutes: Annotated[int, Field(ge=1, le=900)] | None = None
    trailers_minutes: Annotated[int, Field(ge=0, le=120)] | None = None
    cleaning_minutes: Annotated[int, Field(ge=0, le=240)] | None = None
    sales_open_at: Moment | None = None


class Wishes(Showing):
    """Everything a planner can say about one showtime. What is left out stays as it is, or is what is usual."""

    screen_id: Id | None = None
    layout_id: Id | None = None
    starts_at: Moment | None = None
    starts_at_local: LocalTime | None = None
    fold: Annotated[int, Field(ge=0, le=1)] | None = None
    ends_at: Moment | None = None
    sales_close_at: Moment | None = None
    status: Literal["draft", "scheduled"] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where and what: the things that wishes name."""

    hall: Hall
    film: Film
    tariff: Tariff | None = None
    """What its price lists make the hall cost, where a new showtime says nothing else."""

    hold_seconds: int = HOLD_SECONDS
    """How long a hold of a new showtime lasts, where it says nothing else."""


def plan(showtime_id: str, asked: Wishes, place: Place, now: Instant, present: Planned | None = None) -> NewShowtime:
    """The showtime that is wished for. 422 in_past, too_short, format_mismatch, language_mismatch, category_unpriced"""
    hall, film = _as_frozen(place.hall, asked, present), place.film
    starts_at = _start(asked, hall, present)
    if starts_at <= now and (present is None or starts_at != present.terms.starts_at):
        raise Problem(422, "in_past", "A showtime cannot begin in the past.")
    trailers = _or(asked.trailers_minutes, present.preshow_minutes if present else TRAILERS_MINUTES)
    cleaning = _or(asked.cleaning_minutes, present.cleaning_minutes if present else CLEANING_MINUTES)
    ends_at = _end(asked, film, starts_at, trailers, present)
    sales_open_at, sales_close_at = _sales(asked, starts_at, ends_at, trailers, now, present)
    tariff = _tariff(asked, hall, present.terms.tariff if present else place.tariff)
    hold_seconds = _or(asked.hold_ttl_s, present.terms.hold_seconds if present else place.hold_seconds)
    usual = present.terms if present else None
    terms = Terms(
        movie_id=film.id,
        screen_id=hall.id,
        layout_id=hall.layout_id,
        starts_at=starts_at,
        ends_at=ends_at,
        sales_open_at=sales_open_at,
        sales_close_at=sales_close_at,
        tariff=tariff,
        refund_policy=_refund_policy(asked, hall, present),
        hold_seconds=hold_seconds,
        hold_seconds_max=HOLD_FACTOR_MAX * hold_seconds,
        seats_per_customer_max=_or(asked.max_seats, usual.seats_per_customer_max if usual else 10),
        orphan_rule=OrphanRule(_or(asked.orphan_rule, usual.orphan_rule.value if usual else OrphanRule.LENIENT.value)),
    )
    return NewShowtime(
        id=showtime_id,
        terms=terms,
        language=_language(asked, film, present),
        format=_format(asked, hall, present),
        preshow_minutes=trailers,
        cleaning_minutes=cleaning,
        capacity=hall.capacity,
        price_from=min(by_type[tariff.default_ticket_type] for by_type in tariff.prices.values()),
        draft=asked.status == "draft" if present is None else present.showtime.status == "draft",
    )


def clear_at(new: NewShowtime) -> Instant:
    """When the screen is free again."""
    return new.terms.ends_at + new.cleaning_minutes * MINUTE_MS


def demand_published(film: Film) -> None:
    """Nobody can buy a ticket for a film that nobody can see in the programme."""
    if film.publication != "published":
        raise Problem(409, "movie_not_published", f"{film.title} is not published, so its showtimes stay drafts.")


def overlap(other: Occupied | None) -> Problem:
    """The screen is taken."""
    if other is None:
        return Problem(409, "overlap", "Somebody has just taken the screen at that time. Look again.")
    return Problem(
        409,
        "overlap",
        f"The screen is taken by {other.movie_title} from {rfc3339(other.starts_at)} to {rfc3339(other.clear_at)}.",
        showtime_id=other.id,
    )


def local_start(local: datetime, time_zone: str, fold: int | None) -> Instant:
    """422 nonexistent_local_time, ambiguous_local_time."""
    try:
        return resolve(local, time_zone, fold)
    except NoSuchTime:
        raise Problem(
            422,
            "nonexistent_local_time",
            f"The clocks in {time_zone} are put forward over {local.isoformat(sep=' ', timespec='minutes')}.",
        ) from None
    except AmbiguousTime as twice:
        raise Problem(
            422,
            "ambiguous_local_time",
            "The clocks are put back over this time, so it comes twice. Name the offset, or say fold 0 or 1.",
            choices=[twice.first.isoformat(), twice.second.isoformat()],
        ) from None


def _as_frozen(hall: Hall, asked: Wishes, present: Planned | None) -> Hall:
    """A showtime on sale keeps the layout version it is sold with, as long as it stays and nobody asks for another."""
    frozen = hall
    if (
        present is not None
        and present.showtime.status != "draft"
        and present.terms.screen_id == hall.id
        and asked.layout_id != hall.layout_id
    ):
        terms = present.terms
        capacity, categories = present.showtime.capacity, tuple(terms.tariff.prices)
        frozen = replace(hall, layout_id=terms.layout_id, capacity=capacity, categories=categories)
    if asked.layout_id not in (None, frozen.layout_id):
        raise invalid("layout_id", "A showtime has the layout that its screen has now, or keeps the one it has.")
    return frozen


def _start(asked: Wishes, hall: Hall, present: Planned | None) -> Instant:
    if asked.starts_at is not None and asked.starts_at_local is not None:
        raise invalid("starts_at_local", "Give the start once: with an offset, or in local time.")
    if asked.starts_at is not None:
        return instant(asked.starts_at)
    if asked.starts_at_local is not None:
        return local_start(asked.starts_at_local, hall.time_zone, asked.fold)
    if present is None:
        raise invalid("starts_at", "A showtime has a start.")
    return present.terms.starts_at


def _end(asked: Wishes, film: Film, starts_at: Instant, trailers: int, present: Planned | None) -> Instant:
    """As asked, else as long as before, else trailers and film."""
    shortest = starts_at + (trailers + film.minutes) * MINUTE_MS
    if asked.ends_at is not None:
        ends_at = instant(asked.ends_at)
    elif asked.runtime_minutes is not None:
        ends_at = starts_at + (trailers + asked.runtime_minutes) * MINUTE_MS
    elif present is None or asked.trailers_minutes is not None or film.id != present.terms.movie_id:
        ends_at = shortest
    else:
        ends_at = starts_at + present.terms.ends_at - present.terms.starts_at
    if ends_at < shortest:
        needed = trailers + film.minutes
        raise Problem(
            422, "too_short", f"{film.title} takes {needed} minutes with the trailers.", minutes_needed=needed
        )
    if ends_at - starts_at > LONGEST_MS:
        raise invalid("ends_at", "A showtime lasts 24 hours at most.")
    return ends_at


def _sales(
    asked: Wishes, starts_at: Instant, ends_at: Instant, trailers: int, now: Instant, present: Planned | None
) -> tuple[Instant, Instant]:
    """When sales open (at once unless asked otherwise) and close (when the film begins). They move with the start."""
    opens = now if present is None else present.terms.sales_open_at
    if asked.sales_open_at is not None:
        opens = instant(asked.sales_open_at)
    closes = starts_at + trailers * MINUTE_MS
    if asked.sales_close_at is not None:
        closes = instant(asked.sales_close_at)
    elif present is not None:
        closes = present.terms.sales_close_at + starts_at - present.terms.starts_at
    if closes > ends_at:
        raise invalid("sales_close_at", "Sales close before the showtime is over.")
    if opens > closes:
        raise invalid("sales_open_at", "Sales open before they close.")
    return opens, closes


def _tariff(asked: Wishes, hall: Hall, before: Tariff | None) -> Tariff:
    prices: Mapping[str, Mapping[str, int]]
    if asked.prices is not None:
        prices = _listed(asked.prices)
    elif before is not None:
        prices = before.prices
    else:
        raise invalid("prices", "Say what a seat costs.")
    if missing := [category for category in hall.categories if not prices.get(category)]:
        raise _unpriced(missing, "has no price")
    usual = asked.default_ticket_type or (before.default_ticket_type if before else None)
    default = usual if usual is not None else _most_usual(prices)
    if missing := [category for category in hall.categories if default not in prices[category]]:
        raise _unpriced(missing, f"has no price for the ticket type {default}")
    beside = before or Tariff(hall.currency, {}, default, 0, 0, time_zone=hall.time_zone)
    return replace(
        beside,
        currency=hall.currency,
        prices={category: prices[category] for category in hall.categories},
        default_ticket_type=default,
        fee=_or(asked.fee, beside.fee),
        tax_bps=_or(asked.tax_bps, beside.tax_bps),
    )


def _listed(prices: list[Price]) -> dict[str, dict[str, int]]:
    listed: dict[str, dict[str, int]] = {}
    for position, price in enumerate(prices):
        by_type = listed.setdefault(price.category, {})
        if price.ticket_type in by_type:
            raise invalid(f"prices.{position}", "This ticket has two prices.")
        by_type[price.ticket_type] = price.amount
    return listed


def _most_usual(prices: Mapping[str, Mapping[str, int]]) -> str:
    if all(ADULT in by_type for by_type in prices.values()):
        return ADULT
    return next(iter(next(iter(prices.values()))))


def _unpriced(categories: list[str], why: str) -> Problem:
    named = ", ".join(categories)
    return Problem(422, "category_unpriced", f"The category {named} {why}.", categories=categories)


def refund_steps(policy: list[RefundLine]) -> tuple[RefundStep, ...]:
    return tuple(RefundStep(line.hours_before, line.refund_pct * 100, line.fee) for line in policy)


def _refund_policy(asked: Wishes, hall: Hall, present: Planned | None) -> tuple[RefundStep, ...]:
    """As asked, else as it is, else as the theatre usually has it."""
    if asked.cancellation_policy is not None:
        return refund_steps(asked.cancellation_policy)
    return present.terms.refund_policy if present else hall.refund_policy


def _language(asked: Wishes, film: Film, present: Planned | None) -> str:
    wanted = asked.language or (present.showtime.language if present else None)
    if wanted is None:
        raise invalid("language", "Say which language the film is shown in.")
    if not film.languages:
        return wanted
    return _spelled(wanted, film.languages) or _mismatch("language", wanted, film.title, film.languages)


def _format(asked: Wishes, hall: Hall, present: Planned | None) -> str:
    wanted = asked.format or (present.showtime.format if present else None)
    if wanted is None:
        raise invalid("format", "Say which format the film is shown in.")
    return _spelled(wanted, hall.formats) or _mismatch("format", wanted, f"Screen {hall.name}", hall.formats)


def _spelled(wanted: str, known: tuple[str, ...]) -> str | None:
    """As the house spells it."""
    return next((word for word in known if word.casefold() == wanted.casefold()), None)


def _mismatch(what: str, wanted: str, whose: str, known: tuple[str, ...]) -> str:
    raise Problem(
        422,
        f"{what}_mismatch",
        f"{whose} has no {wanted}, only {', '.join(known) or 'nothing'}.",
        available=list(known),
    )


def _or(said: T | None, usual: T) -> T:
    return usual if said is None else said
