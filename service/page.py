"""The pages for people: `/` to try a digit on, `/docs` to read about the routes.

Everything comes from this origin, so both work without any other network. The files are read once; their addresses
hold a digest of all of them, so a browser may keep them for good and still never mixes two versions.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.errors import NotFound

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

# data: and blob: show what the service answered and what the user gave; nothing of either is fetched from anywhere.
_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
_SECURITY = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_REVALIDATE = "no-cache"
_KEEP = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """A file as it is sent: plain and compressed."""

    data: bytes
    compressed: bytes
    media_type: str
    etag: str


@dataclass(frozen=True)
class Assets:
    """All files of the pages, and the digest that stands in their addresses."""

    digest: str
    files: Mapping[str, Asset]


@router.api_route("/", methods=["GET", "HEAD"])
async def index(request: Request) -> Response:
    return _page(request, "index.html")


@router.api_route("/docs", methods=["GET", "HEAD"])
async def docs(request: Request) -> Response:
    return _page(request, "docs.html")


@router.api_route("/static/{digest}/{name}", methods=["GET", "HEAD"])
async def static(request: Request, digest: str, name: str) -> Response:
    assets = load_assets()
    if name not in assets.files or name.endswith(".html"):
        raise NotFound("there is no such file")
    # While versions change a page may come from one process and its files from another; those must not stick.
    return _send(request, assets.files[name], _KEEP if digest == assets.digest else _REVALIDATE)


@cache
def load_assets() -> Assets:
    """Read, complete and compress the files of the pages."""
    contents = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _MEDIA_TYPES}
    digest = hashlib.sha256(b"".join(name.encode() + data for name, data in contents.items())).hexdigest()[:12]
    # Relative, so that the pages work below a path prefix too.
    address = f"static/{digest}".encode()
    files = {name: _asset(name, data.replace(b"{assets}", address)) for name, data in contents.items()}
    return Assets(digest, files)


def _asset(name: str, data: bytes) -> Asset:
    etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    return Asset(data, gzip.compress(data, mtime=0), _MEDIA_TYPES[Path(name).suffix], etag)


def _page(request: Request, name: str) -> Response:
    return _send(request, load_assets().files[name], _REVALIDATE)


def _send(request: Request, asset: Asset, cache_control: str) -> Response:
    headers = _SECURITY | {"Cache-Control": cache_control, "ETag": asset.etag, "Vary": "Accept-Encoding"}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(asset.data, headers=headers, media_type=asset.media_type)
    return Response(asset.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type)
