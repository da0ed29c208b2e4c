"""The pages for browsers: serves what `make web` put into web/dist, and says so where that is missing.

Whatever is asked for is looked up at each request, so that a new build is there at the next reload.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.web_pages import BOARD_POLICY, DOCS_POLICY, GRAPHIQL_POLICY, MISSING_PAGE, MISSING_POLICY, NOT_FOUND
from graph.http import Page

# Beside the packages, in a checkout as in the image.
DIST = Path(__file__).parents[1] / "web" / "dist"

_BOARD = "index.html"
_GRAPHIQL = "graphiql.html"
_DOCS = "docs.html"
# The build names these files after their content: one name never gets another content.
_ASSETS = "/assets/"
_ASSETS_CACHE = "public, max-age=31536000, immutable"
_COMMON_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}

# The names by which a page of this machine reaches the service; another one that resolves to it may be anybody's.
_OWN_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
# Who asks through a proxy may be anywhere, though the proxy is here.
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

# What the build makes. (The system's own table differs from machine to machine.)
_MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
# The compressed copies that the build may have put beside a file, the smallest first.
_ENCODINGS = {"br": ".br", "gzip": ".gz"}


def is_built(directory: Path = DIST) -> bool:
    """Whether there is a board to serve."""
    return (directory / _BOARD).is_file()


def graphiql_page(directory: Path = DIST) -> Page | None:
    """The page that browsers get at /graphql; None where it is not built."""
    try:
        body = (directory / _GRAPHIQL).read_bytes()
    except OSError:
        return None
    # One address has the page for browsers and JSON for everybody else: caches must tell the two apart.
    headers = _page_headers(GRAPHIQL_POLICY) | {"vary": "Accept", "content-type": "text/html; charset=utf-8"}
    return Page(body, [(name.encode(), value.encode()) for name, value in headers.items()])


class Web:
    """Answers every path that is not the API's.

    Args:
        key: a server key that pages in a browser of this machine may use, for trying out; elsewhere None.
        graphiql: whether browsers get GraphiQL at /graphql.
        openapi: the description of the REST API, for /openapi.json and the page /docs; None for neither.
        directory: what the build made.
    """

    def __init__(
        self, *, key: str | None, graphiql: bool, openapi: bytes | None = None, directory: Path = DIST
    ) -> None:
        self._key = key
        self._graphiql = graphiql
        self._openapi = openapi
        self._directory = directory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI hands it over; a WebSocket is refused."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        method = scope["method"]
        client = scope["client"]
        peer = client[0] if client else ""
        response = await asyncio.to_thread(self.answer, method, scope["path"], Headers(scope=scope), peer)
        if method == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    def answer(self, method: str, path: str, headers: Headers, peer: str) -> Response:
        """The answer to one request of `peer`; that to HEAD still has its body. Reads files, so it blocks."""
        if method not in ("GET", "HEAD"):
            return PlainTextResponse(
                "Pages are for GET. The API is at /graphql and /api/.\n", 405, {"allow": "GET, HEAD"} | _COMMON_HEADERS
            )
        if path == "/settings.json":
            return self._settings(headers, peer)
        if path.startswith(_ASSETS):
            return self._asset(path, headers) or _not_found()
        if path in ("/", f"/{_BOARD}"):
            return self._page(_BOARD, BOARD_POLICY, headers)
        if self._openapi is not None:
            if path == "/docs":
                return self._page(_DOCS, DOCS_POLICY, headers)
            if path == "/openapi.json":
                return _revalidated(headers, self._openapi, _media_type(path), _COMMON_HEADERS)
        file = self._find(path)
        if file is None:
            return _not_found()
        return _revalidated(headers, file.read_bytes(), _media_type(path), _COMMON_HEADERS)

    def _settings(self, headers: Headers, peer: str) -> Response:
        """What this page may do: `submit` with the `key` that comes along, or read alone."""
        body: dict[str, object] = {
            "submit": False,
            "graphiql": self._graphiql and (self._directory / _GRAPHIQL).is_file(),
        }
        if self._key is not None and _is_own_page(headers, peer):
            body |= {"submit": True, "key": self._key}
        kept_here = {"cache-control": "no-store", "cross-origin-resource-policy": "same-origin"}
        return JSONResponse(body, headers=kept_here | _COMMON_HEADERS)

    def _page(self, name: str, policy: str, headers: Headers) -> Response:
        try:
            body = (self._directory / name).read_bytes()
        except OSError:
            return HTMLResponse(MISSING_PAGE, 404, _page_headers(MISSING_POLICY))
        return _revalidated(headers, body, _media_type(name), _page_headers(policy))

    def _asset(self, path: str, headers: Headers) -> Response | None:
        plain = self._find(path)
        if plain is None:
            return None
        encoding = _best_encoding(headers.get("accept-encoding", ""), plain)
        file = Path(f"{plain}{_ENCODINGS[encoding]}") if encoding else plain
        # The name says what is inside, so it tells one content from another.
        etag = f'"{file.name}"'
        answered = {"etag": etag, "cache-control": _ASSETS_CACHE, "vary": "Accept-Encoding"} | _COMMON_HEADERS
        if _matches(headers, etag):
            return Response(status_code=304, headers=answered)
        if encoding:
            answered["content-encoding"] = encoding
        return Response(file.read_bytes(), headers=answered, media_type=_media_type(path))

    def _find(self, path: str) -> Path | None:
        """The file that `path` names; None where there is none, or none that is meant to be fetched by name."""
        segments = path.removeprefix("/").split("/")
        if any(not segment or segment.startswith(".") or {"\\", "\0"} & set(segment) for segment in segments):
            return None
        file = self._directory.joinpath(*segments)
        # Pages need their own policies, and compressed copies their Content-Encoding. (pathlib raises for a name that
        # is too long.)
        return file if file.suffix in _MEDIA_TYPES and file.suffix != ".html" and os.path.isfile(file) else None


def _is_own_page(headers: Headers, peer: str) -> bool:
    """Whether a request is of a page of this service in a browser of this machine, as far as can be told.

    A site of anybody's may give its name the address 127.0.0.1 and so read what it asks the service for (DNS
    rebinding), but the browser still says that name in `Host`.
    """
    return (
        _OWN_HOST.fullmatch(headers.get("host", "")) is not None
        and _is_loopback(peer)
        and headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        and not any(name in headers for name in _PROXY_HEADERS)
    )


def _is_loopback(peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _revalidated(headers: Headers, body: bytes, media_type: str, answered: Mapping[str, str]) -> Response:
    """`body`, which a client may keep but asks for each time; nothing but 304 where it has the very same."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    answered = {"cache-control": "no-cache", "etag": etag, **answered}
    if _matches(headers, etag):
        return Response(status_code=304, headers=answered)
    return Response(body, headers=answered, media_type=media_type)


def _matches(headers: Headers, etag: str) -> bool:
    known = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    return etag in known or known == ["*"]


def _best_encoding(accepted: str, file: Path) -> str | None:
    """The smallest copy of `file` that is there and wanted."""
    wanted = set()
    for part in accepted.lower().split(","):
        name, *parameters = (piece.strip().replace(" ", "") for piece in part.split(";"))
        if not any(parameter in ("q=0", "q=0.0", "q=0.00", "q=0.000") for parameter in parameters):
            wanted.add(name)
    return next((name for name, end in _ENCODINGS.items() if name in wanted and os.path.isfile(f"{file}{end}")), None)


def _media_type(path: str) -> str:
    return _MEDIA_TYPES[Path(path).suffix]


def _page_headers(policy: str) -> dict[str, str]:
    return {"cache-control": "no-cache", "content-security-policy": policy} | _COMMON_HEADERS


def _not_found() -> Response:
    return PlainTextResponse(NOT_FOUND, 404, {"cache-control": "no-store"} | _COMMON_HEADERS)
