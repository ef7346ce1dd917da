"""Where the process is in its life: when it began, and whether it still takes new work."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final


@dataclass(slots=True)
class Life:
    """One per process. `draining` turns true once, when the process is asked to stop."""

    started_at: float
    draining: bool = False


def _version() -> str:
    try:
        return version("marquee")
    except PackageNotFoundError:
        return "0.0.0"


VERSION: Final = _version()
