"""Stores elsewhere that keep media: whatever speaks S3, and Cloudinary. Chosen by the scheme of `MARQUEE_MEDIA_URL`."""

import asyncio
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, FormData

from actors.ports import Clock
from server.media import MediaAway
from server.pictures import Kind
from server.responses import IMMUTABLE

if TYPE_CHECKING:
    from obstore.store import S3Store

SECONDS_MAX: Final = 120
CLOUDINARY: Final = "https://api.cloudinary.com"
CLOUDINARY_DELIVERY: Final = "https://res.cloudinary.com"


class S3:
    """`s3://KEY:SECRET@HOST/BUCKET?region=…&public=https://…`; `s3+http` for a store without TLS, next door.

    `public` is where everybody reads, a CDN perhaps; without it that is the bucket itself.
    """

    def __init__(self, store: "S3Store", public: str) -> None:
        self._store = store
        self._public = public.rstrip("/")

    @classmethod
    def at(cls, url: str) -> Self:
        from obstore.store import S3Store  # an extra: most houses keep their media themselves

        parts, options = _taken_apart(url)
        scheme = "http" if parts.scheme == "s3+http" else "https"
        bucket = parts.path.strip("/")
        endpoint = f"{scheme}://{_host(parts)}"
        store = S3Store(
            bucket,
            endpoint=endpoint,
            access_key_id=unquote(parts.username or ""),
            secret_access_key=unquote(parts.password or ""),
            region=options.get("region", "us-east-1"),
            virtual_hosted_style_request=False,
            client_options={"allow_http": scheme == "http", "timeout": f"{SECONDS_MAX}s", "connect_timeout": "5s"},
            retry_config={"max_retries": 2},
        )
        return cls(store, options.get("public") or f"{endpoint}/{quote(bucket)}")

    async def put(self, name: str, file: Path, kind: Kind) -> str:
        from obstore import put_async
        from obstore.exceptions import BaseError

        try:
            await put_async(
                self._store, name, file, attributes={"Content-Type": kind.content_type, "Cache-Control": IMMUTABLE}
            )
        except BaseError as error:
            raise MediaAway(type(error).__name__) from error
        return f"{self._public}/{name}"


@dataclass(frozen=True, slots=True)
class Cloudinary:
    """`cloudinary://KEY:SECRET@CLOUD`, with `?api=…` where its API is somewhere else."""

    cloud: str
    key: str
    secret: str
    clock: Clock
    api: str = CLOUDINARY

    @classmethod
    def at(cls, url: str, clock: Clock) -> Self:
        parts, options = _taken_apart(url)
        return cls(
            cloud=parts.hostname or "",
            key=unquote(parts.username or ""),
            secret=unquote(parts.password or ""),
            clock=clock,
            api=options.get("api", CLOUDINARY).rstrip("/"),
        )

    async def put(self, name: str, file: Path, kind: Kind) -> str:
        said = {"overwrite": "false", "public_id": name.partition(".")[0], "timestamp": str(self.clock.now() // 1_000)}
        resource = kind.content_type.partition("/")[0]
        try:
            async with ClientSession(timeout=ClientTimeout(total=SECONDS_MAX, connect=5)) as session:
                with await asyncio.to_thread(file.open, "rb") as body:
                    form = FormData({**said, "api_key": self.key, "signature": self.signature(said)})
                    form.add_field("file", body, filename=name, content_type=kind.content_type)
                    url = f"{self.api}/v1_1/{quote(self.cloud)}/{resource}/upload"
                    async with session.post(url, data=form, allow_redirects=False) as response:
                        told = await response.json(content_type=None) if response.status == 200 else None
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            raise MediaAway(repr(error)) from error
        if told is None:
            raise MediaAway(f"the store said {response.status}")
        return _address(told)

    def signature(self, said: dict[str, str]) -> str:
        """Cloudinary's: SHA-1 over what is said, by name, and the secret."""
        text = "&".join(f"{name}={value}" for name, value in sorted(said.items()))
        return sha1(f"{text}{self.secret}".encode()).hexdigest()  # noqa: S324 (theirs to choose)


def _address(told: Any) -> str:
    address = told.get("secure_url") if isinstance(told, dict) else None
    if not isinstance(address, str) or not address.startswith("https://"):
        raise MediaAway("the store did not say where the file is")
    return address


def public_origin(media_url: str | None) -> str:
    """Where browsers fetch media from, as a page's policy names it; empty when that is this server."""
    if media_url is None:
        return ""
    parts, options = _taken_apart(media_url)
    if parts.scheme == "cloudinary":
        return CLOUDINARY_DELIVERY
    public = urlsplit(options.get("public") or f"{'http' if parts.scheme == 's3+http' else 'https'}://{_host(parts)}")
    return f"{public.scheme}://{_host(public)}"


def _taken_apart(url: str) -> tuple[SplitResult, dict[str, str]]:
    parts = urlsplit(url)
    return parts, {name: values[-1] for name, values in parse_qs(parts.query).items()}


def _host(parts: SplitResult) -> str:
    return (parts.netloc.rpartition("@")[2]).lower()
