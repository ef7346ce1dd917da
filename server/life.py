"""Where the process is in its life: when it began, and whether it still takes new work."""

import asyncio
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final


@dataclass(slots=True)
class Life:
    """One per process. `draining` turns true once, when the process is asked to stop; `question` is the last one that
    was put to the database to see whether it answers."""

    started_at: float
    draining: bool = False
    question: asyncio.Future[object] | None = None


def _version() -> str:
    try:
        return version("marquee")
    except PackageNotFoundError:  # running from a checkout
        project = Path(__file__).parent.parent / "pyproject.toml"
        return str(tomllib.loads(project.read_text())["project"]["version"])


VERSION: Final = _version()
