"""What an uploaded file is, told from its first bytes, and pictures made anew.

Nobody's bytes are shown to others as they came: a picture is decoded and encoded again, which leaves out what else was
in the file (where it was taken, a script after its end). Trailers are too large for that; they are at least what they
say they are.
"""

import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

HEAD_BYTES: Final = 64
"""How much of a file tells what it is."""

PIXELS_MAX: Final = 24_000_000
SIDE_MAX: Final = 12_000
QUALITY: Final = 88


@dataclass(frozen=True, slots=True)
class Kind:
    content_type: str
    suffix: str
    bytes_max: int
    encoding: str | None = None
    """Pillow's name of a picture's format; None for what is stored as it is."""


_PICTURE_BYTES_MAX: Final = 8 * 1024 * 1024
_TRAILER_BYTES_MAX: Final = 64 * 1024 * 1024
JPEG: Final = Kind("image/jpeg", "jpg", _PICTURE_BYTES_MAX, "JPEG")
PNG: Final = Kind("image/png", "png", _PICTURE_BYTES_MAX, "PNG")
WEBP: Final = Kind("image/webp", "webp", _PICTURE_BYTES_MAX, "WEBP")
MP4: Final = Kind("video/mp4", "mp4", _TRAILER_BYTES_MAX)
WEBM: Final = Kind("video/webm", "webm", _TRAILER_BYTES_MAX)
KINDS: Final = (JPEG, PNG, WEBP, MP4, WEBM)

_MP4_BRANDS: Final = frozenset(
    (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"f4v ", b"MSNV")
)


class NoPicture(Exception):
    """The file begins like a picture and is none."""


class PictureTooLarge(Exception):
    """More pixels than are decoded here."""


@dataclass(frozen=True, slots=True)
class Picture:
    body: bytes
    width: int
    height: int


def kind_of(head: bytes) -> Kind | None:
    """What begins like this; None for everything that is not taken here."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp" and head[8:12] in _MP4_BRANDS:
        return MP4
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"\x42\x82\x84webm" in head:
        return WEBM
    return None


def develop(file: Path, kind: Kind) -> Picture:
    """The picture in a file, made anew, upright and without metadata. Work for a thread. NoPicture, PictureTooLarge.

    The size that the file claims is looked at before a pixel is decoded: a few kilobytes can claim gigabytes.
    """
    assert kind.encoding is not None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=(kind.encoding,)) as found:
                if found.width * found.height > PIXELS_MAX or max(found.size) > SIDE_MAX:
                    raise PictureTooLarge
                return _encoded(ImageOps.exif_transpose(found), kind.encoding)
    except (Image.DecompressionBombError, MemoryError):
        raise PictureTooLarge from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise NoPicture from error  # each of them is what some broken file makes Pillow raise


def _encoded(picture: Image.Image, encoding: str) -> Picture:
    """Only the pixels go into a new picture, in a mode that every browser draws."""
    mode = "RGBA" if encoding != "JPEG" and picture.has_transparency_data else "RGB"
    bare = Image.new(mode, picture.size)
    bare.paste(picture.convert(mode))
    out = BytesIO()
    match encoding:
        case "JPEG":
            bare.save(out, "JPEG", quality=QUALITY, progressive=True)
        case "WEBP":
            bare.save(out, "WEBP", quality=QUALITY, method=4)
        case _:
            bare.save(out, "PNG")
    return Picture(out.getvalue(), bare.width, bare.height)
