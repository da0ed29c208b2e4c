"""The proxy's configuration, with two real API processes behind it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from tests.deploy.serving import ROOT, served
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


async def test_players_notice_nothing_of_an_api_that_dies(clean: LocalCluster, tmp_path: Path) -> None:
    assert CADDY is not None
    port = find_free_port(set())
    async with served(clean) as first, served(clean) as second:
        text = CADDYFILE.read_text()
        for old, new in (
            (":8080 {", f"http://127.0.0.1:{port} {{"),
            ("api-1:8000", f"127.0.0.1:{first.port}"),
            ("api-2:8000", f"127.0.0.1:{second.port}"),
        ):
            assert old in text
            text = text.replace(old, new)
        config = tmp_path / "Caddyfile"
        config.write_text(text)
        command = [CADDY, "run", "--adapter", "caddyfile", "--config", str(config)]
        proxy = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
                await until(lambda: _is_healthy(client))
                counts = Counter([await _submit(client) for _ in range(20)])
                first.process.kill()
                await first.process.wait()
                counts.update([await _submit(client) for _ in range(20)])
        finally:
            proxy.terminate()
            await proxy.wait()
    # Each submission was answered once and counted once.
    assert counts == Counter(range(1, 41))


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
