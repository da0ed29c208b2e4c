"""What is served of the board's build: by name, by kind, and with which headers."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.web import Web, graphiql_page, is_built

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SCRIPT = b"console.log('the board')\n" * 100
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
}


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A directory such as the build makes it, with a file beside it that nobody may get."""
    (tmp_path / "secret.txt").write_text("secret")
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / ".vite").mkdir()
    (dist / ".vite" / "manifest.json").write_text("{}")
    (dist / ".made-from").write_text("a hash")
    (dist / "index.html").write_text("<title>board</title>")
    (dist / "graphiql.html").write_text("<title>graphiql</title>")
    (dist / "docs.html").write_text("<title>docs</title>")
    (dist / "favicon.svg").write_text("<svg/>")
    (dist / "assets" / "board-1a2b.js").write_bytes(SCRIPT)
    (dist / "assets" / "board-1a2b.js.gz").write_bytes(gzip.compress(SCRIPT))
    (dist / "assets" / "board-1a2b.js.br").write_bytes(b"not looked into here")
    (dist / "assets" / "font-3c4d.woff2").write_bytes(b"wOF2")
    return dist


@pytest.fixture
async def client(dist: Path) -> AsyncIterator[httpx.AsyncClient]:
    web = httpx.ASGITransport(Web(key=None, graphiql=True, directory=dist))
    async with httpx.AsyncClient(transport=web, base_url="http://board", headers={"accept-encoding": ""}) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/index.html"])
@pytest.mark.parametrize("accept", [BROWSER, "*/*"])
async def test_the_board(client: httpx.AsyncClient, path: str, accept: str) -> None:
    answer = await client.get(path, headers={"accept": accept})
    assert (answer.status_code, answer.text) == (200, "<title>board</title>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert set(answer.headers["content-security-policy"].split("; ")) == POLICY


async def test_the_rest_api_is_described_where_that_is_wanted(client: httpx.AsyncClient, dist: Path) -> None:
    for path in ("/docs", "/openapi.json", "/docs.html"):
        assert (await client.get(path)).status_code == 404
    web = httpx.ASGITransport(Web(key=None, graphiql=True, openapi=b"{}", directory=dist))
    async with httpx.AsyncClient(transport=web, base_url="http://board") as described:
        page = await described.get("/docs")
        assert (page.status_code, page.text) == (200, "<title>docs</title>")
        policy = page.headers["content-security-policy"]
        assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy.split("; "))
        assert "unsafe" not in policy
        document = await described.get("/openapi.json")
        assert (document.status_code, document.content) == (200, b"{}")
        assert document.headers["content-type"] == "application/json"
        kept = await described.get("/openapi.json", headers={"if-none-match": document.headers["etag"]})
        assert (kept.status_code, kept.content) == (304, b"")


@pytest.mark.parametrize("accept", [BROWSER, "*/*"])
async def test_what_is_not_there_says_what_is(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get("/leaderboard", headers={"accept": accept})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text == (
        "There is nothing here. The board is at /, the API at /graphql and /api/, the service's health at /health.\n"
    )


async def test_the_board_is_asked_for_each_time_and_sent_only_when_it_changed(
    client: httpx.AsyncClient, dist: Path
) -> None:
    etag = (await client.get("/")).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await client.get("/", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert set(again.headers["content-security-policy"].split("; ")) == POLICY
    (dist / "index.html").write_text("<title>other</title>")
    changed = await client.get("/", headers={"if-none-match": etag})
    assert (changed.status_code, changed.text) == (200, "<title>other</title>")


async def test_an_asset_is_kept_for_ever(client: httpx.AsyncClient) -> None:
    answer = await client.get("/assets/board-1a2b.js")
    assert (answer.status_code, answer.content) == (200, SCRIPT)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in answer.headers
    again = await client.get("/assets/board-1a2b.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br; q=0.000", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_the_smallest_copy_that_is_wanted(client: httpx.AsyncClient, accepted: str, encoding: str | None) -> None:
    async with client.stream("GET", "/assets/board-1a2b.js", headers={"accept-encoding": accepted}) as answer:
        body = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    plain = gzip.decompress(body) if encoding == "gzip" else body
    assert plain == (b"not looked into here" if encoding == "br" else SCRIPT)


async def test_a_file_without_compressed_copies(client: httpx.AsyncClient) -> None:
    answer = await client.get("/assets/font-3c4d.woff2", headers={"accept-encoding": "br, gzip"})
    assert (answer.content, answer.headers["content-type"]) == (b"wOF2", "font/woff2")
    icon = await client.get("/favicon.svg")
    assert (icon.text, icon.headers["content-type"], icon.headers["cache-control"]) == (
        "<svg/>",
        "image/svg+xml",
        "no-cache",
    )


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/..%5c..%5csecret.txt",
        "//secret.txt",
        "/%00",
        "/assets/%ff.js",
        "/" + "a" * 5000 + ".js",
        "/.made-from",
        "/.vite/manifest.json",
        "/graphiql.html",
        "/assets",
        "/assets/",
        "/assets/unknown.js",
        "/assets/board-1a2b.js.br",
        "/assets/board-1a2b.js/",
        "/unknown.js",
    ],
)
async def test_nothing_else_is_given_out(client: httpx.AsyncClient, path: str) -> None:
    # As raw bytes: a client of its own accord would tidy the path up.
    url = httpx.URL("http://board", raw_path=path.encode())
    answer = await client.get(url, headers={"accept": "*/*"})
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/", "/assets/board-1a2b.js", "/settings.json", "/unknown.js"])
async def test_head_is_get_without_the_body(client: httpx.AsyncClient, path: str) -> None:
    got, head = await client.get(path), await client.head(path)
    assert head.content == b""
    assert head.status_code == got.status_code
    assert head.headers == got.headers
    assert int(head.headers["content-length"]) == len(got.content) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


KEY = "a key of this set-up"
READER = {"submit": False, "graphiql": True}
OWN_PAGE = READER | {"submit": True, "key": KEY}


async def read_settings(
    dist: Path,
    headers: dict[str, str] | None = None,
    *,
    key: str | None = KEY,
    peer: str = "127.0.0.1",
    graphiql: bool = True,
) -> httpx.Response:
    """What `/settings.json` answers to a request of `peer`."""
    web = httpx.ASGITransport(Web(key=key, graphiql=graphiql, directory=dist), client=(peer, 50_000))
    sent = {"host": "127.0.0.1:8000"} | (headers or {})
    async with httpx.AsyncClient(transport=web, base_url="http://board") as client:
        answer = await client.get("/settings.json", headers=sent)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    return answer


@pytest.mark.parametrize("graphiql", [True, False])
async def test_the_settings_of_a_real_deployment(dist: Path, graphiql: bool) -> None:
    answer = await read_settings(dist, key=None, graphiql=graphiql)
    assert answer.json() == {"submit": False, "graphiql": graphiql}


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8000", "[::1]:80"]
)
@pytest.mark.parametrize("peer", ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("fetch", [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}])
async def test_a_page_of_this_machine_gets_the_key(dist: Path, host: str, peer: str, fetch: dict[str, str]) -> None:
    assert (await read_settings(dist, {"host": host} | fetch, peer=peer)).json() == OWN_PAGE


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example:8000",
        "127.0.0.1.example",
        "localhost.example:8000",
        "example@localhost",
        "localhost:8000.example",
        "localhost:",
        "[::1",
        "192.0.2.1:8000",
        "board",
        "",
    ],
)
async def test_a_page_of_another_name_gets_no_key(dist: Path, host: str) -> None:
    # Its name may lead to this very machine.
    assert (await read_settings(dist, {"host": host})).json() == READER


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1", ""])
async def test_another_machine_gets_no_key(dist: Path, peer: str) -> None:
    assert (await read_settings(dist, peer=peer)).json() == READER


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something new"])
async def test_a_page_of_another_origin_gets_no_key(dist: Path, site: str) -> None:
    assert (await read_settings(dist, {"sec-fetch-site": site})).json() == READER


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=192.0.2.1"),
        ("x-real-ip", "192.0.2.1"),
        ("via", "1.1 proxy"),
    ],
)
async def test_who_comes_through_a_proxy_of_this_machine_gets_no_key(dist: Path, header: str, value: str) -> None:
    assert (await read_settings(dist, {header: value})).json() == READER


async def test_without_a_build_the_page_says_how_to_get_one(tmp_path: Path) -> None:
    web = httpx.ASGITransport(Web(key=None, graphiql=True, directory=tmp_path / "dist"))
    async with httpx.AsyncClient(transport=web, base_url="http://board") as client:
        answer = await client.get("/", headers={"accept": BROWSER})
        settings = await client.get("/settings.json")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<code>make web</code>" in answer.text
    assert '<a href="/graphql">' in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]
    assert settings.json() == {"submit": False, "graphiql": False}
    assert not is_built(tmp_path / "dist")


def test_a_board_that_is_built(dist: Path) -> None:
    assert is_built(dist)


def test_graphiql_is_a_page_with_a_policy_of_its_own(dist: Path) -> None:
    page = graphiql_page(dist)
    assert page is not None
    assert page.body == b"<title>graphiql</title>"
    headers = dict(page.headers)
    assert headers[b"content-type"] == b"text/html; charset=utf-8"
    assert headers[b"vary"] == b"Accept"
    policy = headers[b"content-security-policy"].decode()
    assert "script-src 'self';" in policy
    assert "connect-src 'self';" in policy
    assert "http" not in policy
    assert "eval" not in policy


def test_graphiql_that_is_not_built(dist: Path) -> None:
    (dist / "graphiql.html").unlink()
    assert graphiql_page(dist) is None
