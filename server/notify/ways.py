"""By which ways somebody wants to hear of what: their own wishes, over what is usual."""

from typing import Final

from typing_extensions import TypedDict

from persistence.accounts import Preferences


class Ways(TypedDict):
    """By which ways somebody is told of a topic."""

    in_app: bool
    email: bool
    sms: bool
    push: bool


_USUAL: Final[Ways] = {"in_app": True, "email": True, "sms": False, "push": False}
_QUIET: Final[Ways] = {"in_app": True, "email": False, "sms": False, "push": False}

TOPICS: Final = {
    "booking_confirmed": "booking_confirmed",
    "payment_failed": "booking_confirmed",
    "booking_cancelled": "booking_cancelled",
    "seats_cancelled": "booking_cancelled",
    "payment_returned": "booking_cancelled",
    "refund_granted": "booking_cancelled",
    "showtime_changed": "showtime_changed",
    "screen_changed": "showtime_changed",
    "showtime_cancelled": "showtime_changed",
    "reminder": "booking_reminder",
}
"""The topic under which people say whether they want to hear of a kind of news."""


def ways(stored: Preferences, topic: str) -> Ways:
    usual, own = _QUIET if topic == "upcoming_movie" else _USUAL, stored.get(topic, {})
    return {
        "in_app": own.get("in_app", usual["in_app"]),
        "email": own.get("email", usual["email"]),
        "sms": own.get("sms", usual["sms"]),
        "push": own.get("push", usual["push"]),
    }
