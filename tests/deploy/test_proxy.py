"""The proxy's configuration, with two real API processes behind it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from tests.deploy.serving import ROOT, Served, served
from tests.waiting import until

CADDYFILE = ROOT / "infra" / "compose" / "Caddyfile"
CADDY = shutil.which("caddy", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
DOCUMENT = "mutation ($input: SubmitScoreInput!) { submitScore(input: $input) { standing { gamesPlayed } } }"

pytestmark = pytest.mark.skipif(CADDY is None, reason="caddy is not installed")


def test_caddy_accepts_the_configuration() -> None:
    assert CADDY is not None
    command = [CADDY, "validate", "--adapter", "caddyfile", "--config", str(CADDYFILE)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, "Valid configuration" in answer.stdout) == (0, True), answer.stderr


@asynccontextmanager
async def proxied(directory: Path, first: Served, second: Served) -> AsyncIterator[str]:
    """The address of a proxy with the configuration of the containers before two API processes of this machine."""
    assert CADDY is not None
    port = find_free_port(set())
    text = CADDYFILE.read_text()
    for old, new in (
        (":8080 {", f"http://127.0.0.1:{port} {{"),
        ("api-1:8000", f"127.0.0.1:{first.port}"),
        ("api-2:8000", f"127.0.0.1:{second.port}"),
    ):
        assert old in text
        text = text.replace(old, new)
    config = directory / "Caddyfile"
    config.write_text(text)
    command = [CADDY, "run", "--adapter", "caddyfile", "--config", str(config)]
    proxy = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            await until(lambda: _is_healthy(client))
        yield f"http://127.0.0.1:{port}"
    finally:
        proxy.terminate()
        await proxy.wait()


async def test_players_notice_nothing_of_an_api_that_dies(clean: LocalCluster, tmp_path: Path) -> None:
    async with (
        served(clean) as first,
        served(clean) as second,
        proxied(tmp_path, first, second) as url,
        httpx.AsyncClient(base_url=url, timeout=10, headers=first.headers) as client,
    ):
        counts = Counter([await _submit(client) for _ in range(20)])
        first.process.kill()
        await first.process.wait()
        counts.update([await _submit(client) for _ in range(20)])
        # Nobody without a key looks at the numbers by this door, whatever way he writes.
        async with httpx.AsyncClient(base_url=url) as stranger:
            for path in ("/metrics", "/%6detrics", "/metrics/", "/METRICS"):
                assert (await stranger.get(path)).status_code == 403, path
    # Each submission was answered once and counted once.
    assert counts == Counter(range(1, 41))


async def test_limits_count_clients_by_their_real_addresses(clean: LocalCluster, tmp_path: Path) -> None:
    # The proxy is at 127.0.0.1 here, and the clients at other addresses of this machine.
    limits = {"SHARDBOARD_ADDRESS_READS_PER_MINUTE": "3", "SHARDBOARD_TRUSTED_PROXIES": '["127.0.0.1/32"]'}
    async with (
        served(clean, environment=limits) as first,
        served(clean, environment=limits) as second,
        proxied(tmp_path, first, second) as url,
        _client_at("127.0.0.2", url) as liar,
        _client_at("127.0.0.3", url) as other,
    ):
        lies = ("203.0.113.1", "203.0.113.2, 127.0.0.1", "127.0.0.1", "203.0.113.4")
        codes = [await _read(liar, {"x-forwarded-for": lie, "forwarded": f"for={lie}"}) for lie in lies]
        assert codes == [None, None, None, "RATE_LIMITED"]
        # Who lied took nothing from others, nor from whom it claimed to be.
        assert await _read(other, {}) is None
        async with _client_at("127.0.0.1", url) as claimed:
            assert [await _read(claimed, {}) for _ in range(3)] == [None] * 3


async def test_who_comes_past_the_proxy_is_not_believed(clean: LocalCluster) -> None:
    limits = {"SHARDBOARD_ADDRESS_READS_PER_MINUTE": "1", "SHARDBOARD_TRUSTED_PROXIES": '["127.0.0.1/32"]'}
    async with served(clean, environment=limits) as api, _client_at("127.0.0.2", api.url) as client:
        codes = [await _read(client, {"x-forwarded-for": f"203.0.113.{number}"}) for number in (1, 2)]
        assert codes == [None, "RATE_LIMITED"]


def _client_at(address: str, url: str) -> httpx.AsyncClient:
    """A client that connects from this address, without a key."""
    return httpx.AsyncClient(base_url=url, timeout=10, transport=httpx.AsyncHTTPTransport(local_address=address))


async def _read(client: httpx.AsyncClient, headers: dict[str, str]) -> str | None:
    """The code of the refusal of one read; None where it was answered."""
    body = {"query": "{ leaderboard { totalCount } }"}
    answer = (await client.post("/graphql", json=body, headers=headers)).json()
    if "errors" in answer:
        return str(answer["errors"][0]["extensions"]["code"])
    assert answer == {"data": {"leaderboard": {"totalCount": 0}}}
    return None


async def _is_healthy(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == 200
    except httpx.TransportError:
        return False


async def _submit(client: httpx.AsyncClient) -> int:
    variables = {"input": {"userId": "7", "username": "Ada", "score": 1}}
    answer = await client.post("/graphql", json={"query": DOCUMENT, "variables": variables})
    games: int = answer.json()["data"]["submitScore"]["standing"]["gamesPlayed"]
    return games
