"""The client's half of the protocol, written down: how frames are folded into a view of the seats.

The browser's fold (`static/live/fold.js`) is the same specification; both are run against the same JSON fixtures.
A view is a snapshot's fields with the seat lists as one mapping. `fold` gives the next view, or RESYNC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

RESYNC: Final = "resync"
_TAKEN: Final = ("held", "sold", "blocked")


@dataclass(frozen=True, slots=True)
class View:
    """What a watcher knows. `seats` has every seat that is not free."""

    epoch: int
    seq: int
    layout_version: int
    status: str
    sales: str
    seats: Mapping[str, str]
    counts: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The fields of a snapshot, seat lists sorted by label."""
        return {
            "epoch": self.epoch,
            "seq": self.seq,
            "layout_version": self.layout_version,
            "status": self.status,
            "sales": self.sales,
            **{state: sorted(seat for seat, its in self.seats.items() if its == state) for state in _TAKEN},
            "counts": dict(self.counts),
        }


def view_of(snapshot: Mapping[str, Any]) -> View:
    """A view from the fields of a snapshot or of `GET …/seats`."""
    return View(
        epoch=snapshot["epoch"],
        seq=snapshot["seq"],
        layout_version=snapshot["layout_version"],
        status=snapshot["status"],
        sales=snapshot["sales"],
        seats={seat: state for state in _TAKEN for seat in snapshot[state]},
        counts=snapshot["counts"],
    )


def fold(view: View | None, frame: Mapping[str, Any]) -> View | Literal["resync"] | None:
    """The view after a frame. Frames that say nothing about seats change nothing.

    Drop what is old, apply what continues or overlaps (states are final), resync on a gap or a new epoch. A showtime
    frame at the version that is already known says how things stand there, so it may always be applied.
    """
    kind = frame["type"]
    if kind == "snapshot":
        return view_of(frame)
    if kind not in ("delta", "showtime", "tick") or view is None:
        return view
    if frame["epoch"] != view.epoch:
        return view if frame["epoch"] < view.epoch else RESYNC
    if kind == "tick":
        return view if frame["seq"] <= view.seq else RESYNC
    first, last = (frame["from"], frame["to"]) if kind == "delta" else (frame["seq"], frame["seq"])
    if last <= view.seq and not (kind == "showtime" and last == view.seq):
        return view
    if first > view.seq + 1:
        return RESYNC
    return _apply(view, frame, last)


def _apply(view: View, frame: Mapping[str, Any], seq: int) -> View:
    seats = dict(view.seats)
    for seat in frame.get("free", ()):
        seats.pop(seat, None)
    for state in _TAKEN:
        for seat in frame.get(state, ()):
            seats[seat] = state
    return replace(
        view,
        seq=seq,
        seats=seats,
        status=frame.get("status", view.status),
        sales=frame.get("sales", view.sales),
        counts=frame.get("counts", view.counts),
    )
