"""The site: files without a build step, one page for all addresses of the customers' side, and one for the house's.

Files are kept in memory with their compressed form and are read again when they change on disk. Their names carry no
hash, so browsers ask each time whether they changed, and mostly hear that they did not.
"""

import gzip
import mimetypes
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from server.errors import not_found
from server.responses import matches

ROOT: Final = Path(__file__).parent.parent / "static"
PAGE: Final = "index.html"
DOCS: Final = "docs/index.html"
HOUSE: Final = "admin/index.html"
PAGES: Final = (
    "/",
    "/movies/{id}",
    "/showtimes/{id}",
    "/bookings",
    "/bookings/{id}",
    "/account",
    "/inbox",
    "/sign-in",
)
HOUSE_PAGES: Final = ("/admin", "/admin/showtimes/{id}", "/admin/jobs")
_FOR_PROGRAMS: Final = ("/api/", "/static/")
_NO_CACHE: Final = "no-cache"
_COMPRESSED_BYTES_MIN: Final = 1_024
_TYPES: Final = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    packed: bytes | None
    content_type: str
    charset: str | None
    etag: str
    changed_ns: int


class Site:
    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._assets: dict[Path, Asset] = {}

    async def page(self, request: web.Request) -> web.Response:
        return self._serve(request, PAGE)

    def lost(self, request: web.Request) -> web.Response | None:
        """What a browser is shown at an address that leads nowhere; None for programs, which get a problem."""
        wants_page = "text/html" in request.headers.get(hdrs.ACCEPT, "")
        if request.method != hdrs.METH_GET or not wants_page or request.path.startswith(_FOR_PROGRAMS):
            return None
        page = self._asset(PAGE)
        return web.Response(status=404, body=page.body, content_type=page.content_type, charset=page.charset)

    async def docs(self, request: web.Request) -> web.Response:
        return self._serve(request, DOCS)

    async def house(self, request: web.Request) -> web.Response:
        return self._serve(request, HOUSE)

    async def file(self, request: web.Request) -> web.Response:
        return self._serve(request, request.match_info["path"])

    async def icon(self, request: web.Request) -> web.Response:
        return self._serve(request, "favicon.svg")

    def routes(self) -> list[web.RouteDef]:
        return [
            *(web.get(path, self.page) for path in PAGES),
            *(web.get(path, self.house) for path in HOUSE_PAGES),
            web.get("/docs", self.docs),
            web.get("/favicon.ico", self.icon),
            web.get("/static/{path:.+}", self.file),
        ]

    def _serve(self, request: web.Request, name: str) -> web.Response:
        asset = self._asset(name)
        headers = {hdrs.ETAG: asset.etag, hdrs.CACHE_CONTROL: _NO_CACHE, hdrs.VARY: hdrs.ACCEPT_ENCODING}
        if matches(request.headers.get(hdrs.IF_NONE_MATCH), asset.etag):
            return web.Response(status=304, headers=headers)
        body = asset.body
        if asset.packed is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            body = asset.packed
            headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=body, headers=headers, content_type=asset.content_type, charset=asset.charset)

    def _asset(self, name: str) -> Asset:
        """The file as it is on disk now. 404 for what is outside the folder, hidden, or no file."""
        path = (self._root / name).resolve() if "\0" not in name else self._root
        if not path.is_relative_to(self._root) or any(part.startswith(".") for part in name.split("/")):
            raise not_found("file")
        try:
            changed_ns = path.stat().st_mtime_ns
            asset = self._assets.get(path)
            if asset is None or asset.changed_ns != changed_ns:
                asset = self._assets[path] = _read(path, changed_ns)
        except OSError:
            raise not_found("file") from None
        return asset


def _read(path: Path, changed_ns: int) -> Asset:
    body = path.read_bytes()
    content_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    is_text = content_type.startswith("text/") or content_type.endswith(("json", "xml", "javascript"))
    packed = gzip.compress(body, mtime=0) if is_text and len(body) >= _COMPRESSED_BYTES_MIN else None
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    return Asset(body, packed, content_type, "utf-8" if is_text else None, etag, changed_ns)
