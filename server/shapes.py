"""What answers look like: the shapes that more than one part of the house shows.

Functions that render answers return these, so the type checker holds the code to them, and the OpenAPI document is
generated from them. Shapes of a single part stand in its own module.
"""

from typing import Generic, TypeVar

from typing_extensions import TypedDict  # the standard one is not introspectable enough before Python 3.12

T = TypeVar("T")


class Money(TypedDict):
    """Minor units (cents, paise) of an ISO 4217 currency."""

    amount: int
    currency: str


class Listed(TypedDict, Generic[T]):
    """A piece of a list. `next_cursor` asks for the next one; null on the last."""

    items: list[T]
    next_cursor: str | None
