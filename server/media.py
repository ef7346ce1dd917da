"""Where uploaded pictures and trailers are kept, behind a small port: a folder of ours, or a store elsewhere.

A file is named after its content. So the same file is kept once, asking again gets the same answer, and what is behind
a name never changes.
"""

import asyncio
import os
import re
from pathlib import Path
from typing import Final, Protocol

from server.config import Config
from server.pictures import KINDS, Kind

FOLDER: Final = "media"
_INCOMING: Final = "incoming"
_TYPES: Final = {kind.suffix: kind.content_type for kind in KINDS}
_is_name: Final = re.compile(rf"[0-9a-f]{{32}}\.(?:{'|'.join(_TYPES)})").fullmatch


class MediaAway(Exception):
    """The store cannot take anything at the moment; the reason is for the log."""


class Media(Protocol):
    async def put(self, name: str, file: Path, kind: Kind) -> str:
        """Keep what is in `file`, which may be moved away, and say at which URL it is to be had. MediaAway."""
        ...


class LocalFolder:
    """Media as files of ours, served at `/media/…`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, file: Path, kind: Kind) -> str:
        try:
            await asyncio.to_thread(_move, file, self._folder / name)
        except OSError as error:
            raise MediaAway(str(error)) from error
        return f"/media/{name}"

    def find(self, name: str) -> tuple[Path, str] | None:
        """The file of this name and its type; None for every other name."""
        if not _is_name(name):
            return None
        path = self._folder / name
        return (path, _TYPES[path.suffix[1:]]) if path.is_file() else None


def folder_of(config: Config) -> Path:
    return config.data_dir / FOLDER


def incoming(config: Config) -> Path:
    """Where files lie while they arrive."""
    return folder_of(config) / _INCOMING


def sweep(config: Config) -> None:
    """Forget what had not arrived when the process was killed."""
    for left in incoming(config).glob("*"):
        left.unlink(missing_ok=True)


def _move(file: Path, place: Path) -> None:
    """On the disk before anybody hears its address, the directory's entry too."""
    with file.open("rb") as written:
        os.fsync(written.fileno())
    file.replace(place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
