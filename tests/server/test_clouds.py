"""Media kept elsewhere, against stand-ins that check what the real stores check: signatures, types, whole files."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import BodyPartReader, FormData, web
from aiohttp.test_utils import TestServer
from PIL import Image

from actors.ids import mint
from server.clouds import public_origin
from server.config import Config, SettingsRefused, load
from server.keys import CLOCK, CONFIG
from server.media import incoming
from server.middleware import page_policy
from tests.server.house import SECRET, House, open_house
from tests.server.rest.cinema import Person, expect

KEY = "AKIDEXAMPLE"
STORE_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"
MIB = 1024 * 1024
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42"


@dataclass
class Bucket:
    """An S3 bucket that takes only what is signed with the secret."""

    objects: dict[str, tuple[bytes, str | None, str | None]] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    kinds: tuple[str | None, str | None] = (None, None)
    down: bool = False

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.down or not signed(request, body):
            return web.Response(status=403, text="<Error><Code>SignatureDoesNotMatch</Code></Error>")
        name, query = request.path.removeprefix("/posters/"), request.query
        kinds = (request.headers.get("Content-Type"), request.headers.get("Cache-Control"))
        if request.method == "POST" and "uploads" in query:
            self.kinds, self.parts = kinds, {}
            return _xml(
                "InitiateMultipartUploadResult", f"<Bucket>posters</Bucket><Key>{name}</Key><UploadId>u1</UploadId>"
            )
        if request.method == "PUT" and "partNumber" in query:
            self.parts[int(query["partNumber"])] = body
            return web.Response(headers={"ETag": f'"{query["partNumber"]}"'})
        if request.method == "POST":
            self.objects[name] = (b"".join(part for _, part in sorted(self.parts.items())), *self.kinds)
            return _xml("CompleteMultipartUploadResult", f'<Bucket>posters</Bucket><Key>{name}</Key><ETag>"x"</ETag>')
        self.objects[name] = (body, *kinds)
        return web.Response(headers={"ETag": '"x"'})


def _xml(name: str, inner: str) -> web.Response:
    text = f'<?xml version="1.0"?><{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</{name}>'
    return web.Response(text=text, content_type="application/xml")


def signed(request: web.Request, body: bytes) -> bool:
    """Whether this is AWS Signature Version 4 over this request."""
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    told = dict(part.strip().split("=", 1) for part in rest.split(","))
    key, day, region, service, _ = told["Credential"].split("/")
    content = request.headers["x-amz-content-sha256"]
    if content not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
        return False
    names = told["SignedHeaders"].split(";")
    query = "&".join(sorted(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in request.query.items()))
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    canonical = "\n".join((request.method, request.path, query, headers, ";".join(names), content))
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{request.headers['x-amz-date']}\n{scope}\n{digest}"
    secret = f"AWS4{STORE_SECRET}".encode()
    for step in (day, region, service, "aws4_request", text):
        secret = hmac.new(secret, step.encode(), hashlib.sha256).digest()
    return (scheme, key, region, secret.hex()) == ("AWS4-HMAC-SHA256", KEY, "eu-central-1", told["Signature"])


@dataclass
class CloudStore:
    """Cloudinary's upload, as far as it is used."""

    now: int = 0
    taken: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answered: Any = None

    async def answer(self, request: web.Request) -> web.Response:
        said: dict[str, str] = {}
        raw = b""
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.name == "file":
                raw = bytes(await part.read())
            else:
                said[str(part.name)] = await part.text()
        signature = said.pop("signature")
        bare = {name: value for name, value in said.items() if name != "api_key"}
        text = "&".join(f"{name}={bare[name]}" for name in sorted(bare)) + STORE_SECRET
        if hashlib.sha1(text.encode()).hexdigest() != signature or said["api_key"] != KEY:
            return web.json_response({"error": {"message": "Invalid Signature"}}, status=401)
        self.taken.append((request.match_info["resource"], said, raw))
        address = f"https://res.cloudinary.com/odeon/{said['public_id']}"
        return web.json_response({"secure_url": address} if self.answered is None else self.answered)


@pytest.fixture
async def bucket() -> AsyncIterator[tuple[Bucket, str]]:
    bucket, app = Bucket(), web.Application(client_max_size=100 * MIB)
    app.router.add_route("*", "/{path:.*}", bucket.answer)
    async with TestServer(app) as server:
        url = f"s3+http://{KEY}:{quote(STORE_SECRET, safe='')}@{server.host}:{server.port}/posters?region=eu-central-1"
        yield bucket, url


@pytest.fixture
async def cloud() -> AsyncIterator[tuple[CloudStore, str]]:
    cloud, app = CloudStore(), web.Application(client_max_size=100 * MIB)
    app.router.add_post("/v1_1/odeon/{resource}/upload", cloud.answer)
    async with TestServer(app) as server:
        api = quote(f"http://{server.host}:{server.port}", safe="")
        yield cloud, f"cloudinary://{KEY}:{quote(STORE_SECRET, safe='')}@odeon?api={api}"


def poster() -> bytes:
    out = BytesIO()
    Image.linear_gradient("L").save(out, "PNG")
    return out.getvalue()


async def send(house: House, body: bytes, status: int = 201) -> dict[str, Any]:
    data = FormData(default_to_multipart=True)
    data.add_field("file", BytesIO(body), filename="x")
    manager = Person(house, mint(house.app[CLOCK].now()), ("manager",), ())
    answer = await expect(await house.ask("POST", "/admin/uploads", token=manager.token, data=data), status)
    folder = incoming(house.app[CONFIG])
    assert [path for path in folder.parent.rglob("*") if path.is_file()] == []
    return answer


async def test_a_bucket_gets_signed_files_of_their_type(database_url: str, bucket: tuple[Bucket, str]) -> None:
    store, url = bucket
    async with open_house(database_url, media_url=url) as house:
        made = await send(house, poster())
        name = made["url"].rpartition("/")[2]
        assert made["url"] == f"http://{url.rpartition('@')[2].partition('?')[0]}/{name}"
        body, content_type, cached = store.objects[name]
        assert Image.open(BytesIO(body)).size == (256, 256)
        assert (content_type, cached) == ("image/png", "public, max-age=31536000, immutable")


async def test_a_trailer_reaches_the_bucket_whole_and_in_parts(database_url: str, bucket: tuple[Bucket, str]) -> None:
    store, url = bucket
    raw = MP4 + bytes(range(256)) * 4 * 1024 * 12
    async with open_house(database_url, media_url=f"{url}&public=https://cdn.example/m/") as house:
        made = await send(house, raw)
    name = made["url"].removeprefix("https://cdn.example/m/")
    assert len(store.parts) > 1
    assert store.objects[name][:2] == (raw, "video/mp4")


async def test_cloudinary_gets_signed_files_and_says_where_they_are(
    database_url: str, cloud: tuple[CloudStore, str]
) -> None:
    store, url = cloud
    async with open_house(database_url, media_url=url) as house:
        made = await send(house, poster())
        trailer = await send(house, MP4 + b"\0" * MIB)
    (kind, said, body), (other_kind, _, film) = store.taken
    assert (kind, other_kind) == ("image", "video")
    assert made["url"] == f"https://res.cloudinary.com/odeon/{said['public_id']}"
    assert Image.open(BytesIO(body)).size == (256, 256)
    assert film == MP4 + b"\0" * MIB
    assert trailer["url"] != made["url"]


async def test_a_store_that_takes_nothing_makes_the_house_busy(
    database_url: str, bucket: tuple[Bucket, str], cloud: tuple[CloudStore, str]
) -> None:
    bucket[0].down = True
    wrong = cloud[1].replace(KEY, "somebody")
    for url in (bucket[1], wrong, "cloudinary://a:b@odeon?api=http://127.0.0.1:9"):
        async with open_house(database_url, media_url=url) as house:
            problem = await send(house, poster(), 503)
            assert problem["code"] == "busy"
            assert STORE_SECRET not in str(problem)


async def test_a_bucket_refuses_what_is_signed_for_another_region(
    database_url: str, bucket: tuple[Bucket, str]
) -> None:
    store, url = bucket
    async with open_house(database_url, media_url=url.replace("eu-central-1", "eu-west-1")) as house:
        assert (await send(house, poster(), 503))["code"] == "busy"
    assert store.objects == {}


@pytest.mark.parametrize("answered", [{}, [], {"secure_url": 7}, {"secure_url": "javascript:alert(1)"}])
async def test_an_answer_without_an_address_is_no_success(
    database_url: str, cloud: tuple[CloudStore, str], answered: Any
) -> None:
    cloud[0].answered = answered
    async with open_house(database_url, media_url=cloud[1]) as house:
        assert (await send(house, poster(), 503))["code"] == "busy"


@pytest.mark.parametrize(
    "url", ["ftp://a:b@c/d", "s3://host/bucket", "s3://a:b@host", "s3://a:b@host/x/y", "cloudinary://odeon", "s3"]
)
def test_a_strange_address_stops_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="must look like s3://"):
        Config(jwt_secret=SECRET, media_url=url)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        (None, ""),
        ("s3://k:s@store.example:9000/posters", "https://store.example:9000"),
        ("s3+http://k:s@127.0.0.1:9000/posters", "http://127.0.0.1:9000"),
        ("s3://k:s@store.example/posters?public=https://cdn.example/a", "https://cdn.example"),
        ("cloudinary://k:s@house", "https://res.cloudinary.com"),
    ],
)
def test_pages_may_show_media_from_where_it_is_kept(url: str | None, origin: str) -> None:
    assert public_origin(url) == origin
    policy, media = page_policy(origin).split("; "), f"'self' {origin}".strip()
    assert f"media-src {media}" in policy
    assert f"img-src {media} data: blob:" in policy


@pytest.mark.parametrize(
    "url",
    [
        "s3://k:s@store.example:port/posters",
        "s3://k:s@store example/posters",
        "s3://k:s@store.example/posters?public=javascript:x",
        "s3://k:s@store.example/posters?public=cdn.example",
        "s3://k:s@store.example/posters?public=https://cdn.example/;script-src",
    ],
)
def test_an_address_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsRefused):
        load(media_url=url)
