"""What anybody may know of a seat map: states without people, counts, and how the whole showtime stands."""

from dataclasses import dataclass
from typing import Final

from actors.seatmap.state import Sales, SeatMap, SeatState

FEW_LEFT_PART: Final = 10
FEW_LEFT_SEATS: Final = 5


@dataclass(frozen=True, slots=True)
class PublicView:
    """Seats in layout order."""

    held: tuple[str, ...]
    sold: tuple[str, ...]
    blocked: tuple[str, ...]


def public_view(state: SeatMap) -> PublicView:
    by_state: dict[SeatState, list[str]] = {SeatState.HELD: [], SeatState.SOLD: [], SeatState.BLOCKED: []}
    taken = state.taken
    for seat in state.layout.seats:
        if (claim := taken.get(seat)) is not None:
            by_state[claim.state].append(seat)
    return PublicView(
        tuple(by_state[SeatState.HELD]), tuple(by_state[SeatState.SOLD]), tuple(by_state[SeatState.BLOCKED])
    )


def counts(state: SeatMap) -> dict[str, int]:
    return {"free": state.free, "held": state.held, "sold": state.sold, "blocked": state.blocked}


def public_sales(state: SeatMap) -> str:
    """`not_open open closed`, and for an open sale `sold_out` or `few_left` (a tenth, at least five seats)."""
    if state.sales is not Sales.OPEN:
        return state.sales.value
    if state.free == 0:
        return "sold_out"
    few = max(FEW_LEFT_SEATS, state.layout.capacity // FEW_LEFT_PART)
    return "few_left" if state.free <= few else "open"


def public_status(state: SeatMap) -> tuple[str, str]:
    """Status and sales, as every public answer shows them."""
    return state.status.value, public_sales(state)
