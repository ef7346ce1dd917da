"""Uploads: what is taken, what becomes of it, and what is turned away without a trace."""

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, FormData
from PIL import Image

from actors.ids import mint
from server.keys import CLOCK, CONFIG
from server.media import incoming, sweep
from server.pictures import PIXELS_MAX
from tests.server.house import House
from tests.server.rest.cinema import Person, expect

MIB = 1024 * 1024
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + b"\0" * 64
WEBM = (
    b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84webm" + b"\0" * 64
)
FACELESS = "urn:not-in-pictures"


@pytest.fixture
def manager(house: House) -> Person:
    return Person(house, mint(house.app[CLOCK].now()), ("manager",), ())


def form(body: Any, name: str = "file", filename: str = "poster.jpg", content_type: str = "image/jpeg") -> FormData:
    data = FormData(default_to_multipart=True)
    data.add_field(name, body, filename=filename, content_type=content_type)
    return data


async def send(who: Person, body: Any, **rest: Any) -> ClientResponse:
    body = BytesIO(body) if isinstance(body, bytes) else body
    return await who.house.ask("POST", "/admin/uploads", token=who.token, data=form(body, **rest))


async def kept(who: Person, body: Any, **rest: Any) -> dict[str, Any]:
    return await expect(await send(who, body, **rest), 201)


async def code(response: ClientResponse, status: int) -> str:
    return str((await expect(response, status))["code"])


def picture(encoding: str, size: tuple[int, int] = (60, 90), mode: str = "RGB", **options: Any) -> bytes:
    out = BytesIO()
    found = Image.radial_gradient("L").resize(size).convert(mode)
    if mode == "RGBA":
        found.putalpha(Image.linear_gradient("L").resize(size))
    found.save(out, encoding, **options)
    return out.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 10_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


async def served(house: House, url: str, **headers: str) -> ClientResponse:
    return await house.client.get(url, headers=headers)


def left_behind(house: House) -> list[Path]:
    folder = incoming(house.app[CONFIG])
    return [path for path in folder.parent.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("encoding", "content_type", "mode"),
    [("JPEG", "image/jpeg", "RGB"), ("JPEG", "image/jpeg", "CMYK"), ("PNG", "image/png", "RGBA"),
     ("PNG", "image/png", "P"), ("WEBP", "image/webp", "RGBA"), ("WEBP", "image/webp", "RGB")],
)  # fmt: skip
async def test_a_picture_is_made_anew_and_to_be_had_for_ever(
    house: House, manager: Person, encoding: str, content_type: str, mode: str
) -> None:
    made = await kept(manager, picture(encoding, mode=mode), filename="../../etc/passwd", content_type="text/html")
    assert (made["content_type"], made["width"], made["height"]) == (content_type, 60, 90)
    response = await served(house, made["url"])
    assert response.status == 200
    assert response.headers["Content-Type"] == content_type
    assert "immutable" in response.headers["Cache-Control"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    body = await response.read()
    assert len(body) == made["bytes"]
    shown = Image.open(BytesIO(body))
    assert (shown.format, shown.size, shown.mode) == (encoding, (60, 90), "RGBA" if mode == "RGBA" else "RGB")
    again = await served(house, made["url"], **{"If-None-Match": response.headers["ETag"]})
    assert again.status == 304


async def test_nothing_but_the_pixels_comes_through(house: House, manager: Person) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    exif[0x010E] = FACELESS
    raw = picture("JPEG", (60, 90), exif=exif, comment=FACELESS.encode()) + b"<script>alert(1)</script>"
    made = await kept(manager, raw)
    assert (made["width"], made["height"]) == (90, 60)
    body = await (await served(house, made["url"])).read()
    assert b"script" not in body
    assert FACELESS.encode() not in body
    assert not Image.open(BytesIO(body)).getexif()


async def test_the_same_file_is_kept_once(house: House, manager: Person) -> None:
    raw = picture("PNG")
    answers = await asyncio.gather(*(kept(manager, raw) for _ in range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert len(left_behind(house)) == 1
    for key, status in (("a-key", 201), ("k" * 256, 400)):
        headers = {"Idempotency-Key": key}
        path, data = "/admin/uploads", form(BytesIO(raw))
        response = await house.ask("POST", path, token=manager.token, data=data, headers=headers)
        assert response.status == status


@pytest.mark.parametrize("size", [(50_000, 50_000), (12_001, 1), (PIXELS_MAX // 100 + 1, 100), (2**31 - 1, 2**31 - 1)])
async def test_a_picture_that_claims_to_be_huge_is_not_unpacked(
    house: House, manager: Person, size: tuple[int, int]
) -> None:
    problem = await expect(await send(manager, claiming(*size)), 422)
    assert problem["errors"][0]["path"] == "file"
    assert left_behind(house) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xd8\xff",
        b"<html><script>alert(1)</script></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>" * 3,
        b"GIF89a" + b"\0" * 100,
        b"%PDF-1.7" + b"\0" * 100,
        b"\0\0\0\x18ftypheic" + b"\0" * 100,
        b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska" + b"\0" * 100,
        picture("JPEG")[:300],
        picture("PNG")[:300],
        picture("WEBP")[:100],
        claiming(60, 60),
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        b"RIFF\x70\0\0\0WEBPVP8X" + b"\0" * 100,
    ],
)
async def test_what_is_no_picture_and_no_trailer_is_turned_away(house: House, manager: Person, body: bytes) -> None:
    assert await code(await send(manager, body), 415) == "unsupported_media_type"
    assert left_behind(house) == []


async def test_a_trailer_is_stored_as_it_is_and_read_in_pieces(house: House, manager: Person) -> None:
    for head, content_type in ((MP4, "video/mp4"), (WEBM, "video/webm")):
        raw = head + bytes(range(256)) * 36 * 1024
        made = await kept(manager, raw, filename="trailer", content_type="image/png")
        assert made == {"url": made["url"], "content_type": content_type, "bytes": len(raw)}
        response = await served(house, made["url"])
        assert response.headers["Content-Type"] == content_type
        assert await response.read() == raw
        piece = await served(house, made["url"], Range="bytes=100-199")
        assert (piece.status, await piece.read()) == (206, raw[100:200])


@pytest.mark.parametrize(("head", "limit"), [(picture("JPEG"), 8 * MIB), (MP4, 64 * MIB)])
async def test_a_file_that_is_too_large_is_turned_away_and_leaves_nothing(
    house: House, manager: Person, head: bytes, limit: int
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield head
        for _ in range(limit // MIB):
            yield b"\0" * MIB

    assert await code(await send(manager, stream()), 413) == "body_too_large"
    assert left_behind(house) == []


async def test_a_form_has_one_part_named_file(house: House, manager: Person) -> None:
    two = form(picture("PNG"))
    two.add_field("file", picture("JPEG"), filename="b.jpg")
    for data, status in ((form(picture("PNG"), name="image"), 422), (two, 422)):
        response = await house.ask("POST", "/admin/uploads", token=manager.token, data=data)
        assert await code(response, status) == "validation_failed"
    bare = await house.ask("POST", "/admin/uploads", token=manager.token, data=picture("PNG"))
    assert await code(bare, 415) == "unsupported_media_type"
    kinds = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (
        b"",
        b"--x",
        b"--x\r\n\r\n",
        b"no form at all",
        b"--x\r\nContent-Disposition: form-data",
        b"--x--\r\n",
    ):
        broken = await house.ask("POST", "/admin/uploads", token=manager.token, data=body, headers=kinds)
        assert broken.status in (400, 415, 422), body
    nameless = await house.ask(
        "POST", "/admin/uploads", token=manager.token, data=b"x", headers={"Content-Type": "multipart/form-data"}
    )
    assert nameless.status == 400
    assert left_behind(house) == []


async def test_a_file_that_breaks_off_leaves_nothing(house: House, manager: Person) -> None:
    begun = asyncio.Event()
    folder = incoming(house.app[CONFIG])

    async def stream() -> AsyncIterator[bytes]:
        yield MP4 + b"\0" * 2 * MIB
        begun.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(send(manager, stream()))
    await begun.wait()
    while not any(folder.glob("*")):
        await asyncio.sleep(0.01)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    while any(folder.glob("*")):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "name", ["", "x.jpg", f"{'0' * 32}.jpg", f"{'0' * 32}.html", "incoming", "..%2fjwt-secret", "%00", "../jwt-secret"]
)
async def test_there_is_nothing_behind_other_names(house: House, name: str) -> None:
    assert (await served(house, f"/media/{name}")).status == 404


async def test_what_had_not_arrived_when_the_process_ended_is_forgotten(house: House, manager: Person) -> None:
    made = await kept(manager, picture("PNG"))
    (incoming(house.app[CONFIG]) / "half").write_bytes(b"half")
    sweep(house.app[CONFIG])
    assert [path.name for path in left_behind(house)] == [made["url"].rpartition("/")[2]]
