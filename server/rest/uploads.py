"""Uploads: posters and trailers come in here and are to be had again for ever."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Final, NotRequired, Protocol

import structlog
from aiohttp import BodyPartReader, MultipartReader, hdrs, web
from pydantic import Field
from typing_extensions import TypedDict

from server.auth.identity import ADMIN, MANAGER
from server.errors import Problem, invalid, not_found, unavailable
from server.idempotency import idempotency_key
from server.keys import CONFIG, DARKROOM, MEDIA
from server.media import LocalFolder, MediaAway, folder_of, incoming
from server.operations import Operation
from server.pictures import HEAD_BYTES, PIXELS_MAX, Kind, NoPicture, Picture, PictureTooLarge, develop, kind_of
from server.requests import Body
from server.responses import IMMUTABLE, answer

FIELD: Final = "file"
CHUNK_BYTES: Final = 64 * 1024
PIECE_BYTES: Final = 1024 * 1024
"""How much is gathered for one write to the disk."""

UPLOAD_SECONDS_MAX: Final = 300
_log: Final = structlog.get_logger("marquee")


class UploadForm(Body):
    """The one part of the form."""

    file: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]


class Upload(TypedDict):
    """`url` may be a path on this server. Width and height are those of a picture."""

    url: str
    content_type: str
    bytes: int
    width: NotRequired[int]
    height: NotRequired[int]


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Arrived:
    kind: Kind
    digest: str
    size: int


async def upload(request: web.Request) -> web.Response:
    """One file in the field `file`: JPEG, PNG or WebP up to 8 MiB, mp4 or webm up to 64 MiB.

    What the file is, its first bytes say, not its name. Pictures are made anew, without metadata. The same file gets
    the same address, so a repeated request gets the same answer with any key or none.
    """
    idempotency_key(request)
    async with _place(incoming(request.app[CONFIG])) as file:
        try:
            async with asyncio.timeout(UPLOAD_SECONDS_MAX):
                arrived = await _receive(request, file)
        except TimeoutError:
            raise Problem(408, "request_timeout", "The file took too long to arrive.") from None
        picture = await _developed(request, file, arrived.kind) if arrived.kind.encoding else None
        return answer(await _kept(request, file, arrived, picture), 201)


async def show(request: web.Request) -> web.StreamResponse:
    found = LocalFolder(folder_of(request.app[CONFIG])).find(request.match_info["name"])
    if found is None:
        raise not_found("file")
    path, content_type = found
    return web.FileResponse(path, headers={hdrs.CACHE_CONTROL: IMMUTABLE, hdrs.CONTENT_TYPE: content_type})


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/api/v1/admin/uploads",
        handler=upload,
        summary="Upload a picture or a trailer",
        access=frozenset((MANAGER, ADMIN)),
        answers={201: Upload},
        asks=UploadForm,
        body_type="multipart/form-data",
        problems=("unsupported_media_type", "body_too_large", "validation_failed", "request_timeout", "busy"),
        remembers=True,
    ),
)
ROUTES: Final = (web.get("/media/{name}", show),)


@contextlib.asynccontextmanager
async def _place(folder: Path) -> AsyncIterator[Path]:
    """A file that is gone afterwards, if nobody has moved it away."""
    file = folder / secrets.token_hex(16)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    try:
        yield file
    finally:
        await asyncio.to_thread(file.unlink, missing_ok=True)


async def _receive(request: web.Request, file: Path) -> _Arrived:
    """The one part of the body, written to disk as it comes. 400, 413, 415, 422."""
    if request.content_type != "multipart/form-data":
        raise Problem(415, "unsupported_media_type", "The body must be multipart/form-data.")
    try:
        reader = MultipartReader(request.headers, request.content)
        part = await reader.next()
        if not isinstance(part, BodyPartReader) or part.name != FIELD:
            raise invalid(FIELD, "The body must have one part, named file.")
        arrived = await _write(part, file)
        if await reader.next() is not None:
            raise invalid(FIELD, "The body must have one part, named file.")
    except (ValueError, AssertionError):
        raise Problem(400, "malformed_request", "The body is not well-formed multipart/form-data.") from None
    return arrived


async def _write(part: BodyPartReader, file: Path) -> _Arrived:
    """The part goes to disk a piece at a time; what it is, is known from the first bytes on."""
    digest = blake2b(digest_size=16)
    gathered = bytearray()
    kind: Kind | None = None
    size = 0
    ended = False
    while not ended:
        chunk = await part.read_chunk(CHUNK_BYTES)
        ended = not chunk
        gathered += chunk
        size += len(chunk)
        if kind is None and (ended or len(gathered) >= HEAD_BYTES):
            kind = kind_of(bytes(gathered[:HEAD_BYTES]))
            if kind is None:
                raise Problem(415, "unsupported_media_type", "Only JPEG, PNG, WebP, mp4 and webm are taken.")
        if kind is not None and size > kind.bytes_max:
            raise _too_large(kind)
        if ended or len(gathered) >= PIECE_BYTES:
            await asyncio.to_thread(_append, file, bytes(gathered), digest)
            gathered.clear()
    assert kind is not None
    return _Arrived(kind, digest.hexdigest(), size)


def _append(file: Path, piece: bytes, digest: _Hash) -> None:
    digest.update(piece)
    with file.open("ab") as out:
        out.write(piece)


async def _developed(request: web.Request, file: Path, kind: Kind) -> Picture:
    """The picture in the file, made anew. One at a time: each may need a hundred megabytes."""
    try:
        async with request.app[DARKROOM]:
            return await asyncio.to_thread(develop, file, kind)
    except NoPicture:
        raise Problem(415, "unsupported_media_type", "This picture is broken.") from None
    except PictureTooLarge:
        raise invalid(FIELD, f"The picture has more than {PIXELS_MAX // 1_000_000} million pixels.") from None


async def _kept(request: web.Request, file: Path, arrived: _Arrived, picture: Picture | None) -> Upload:
    """Where the file is to be had now. 503 busy."""
    digest, size = arrived.digest, arrived.size
    if picture is not None:
        digest, size = blake2b(picture.body, digest_size=16).hexdigest(), len(picture.body)
        await asyncio.to_thread(file.write_bytes, picture.body)
    try:
        url = await request.app[MEDIA].put(f"{digest}.{arrived.kind.suffix}", file, arrived.kind)
    except MediaAway as error:
        _log.warning("media_away", reason=str(error))
        raise unavailable("busy", "The file cannot be kept right now. Try again in a moment.") from None
    kept: Upload = {"url": url, "content_type": arrived.kind.content_type, "bytes": size}
    if picture is not None:
        kept["width"], kept["height"] = picture.width, picture.height
    return kept


def _too_large(kind: Kind) -> Problem:
    limit = kind.bytes_max // (1024 * 1024)
    return Problem(413, "body_too_large", f"A file of type {kind.content_type} may have {limit} MiB at most.")
