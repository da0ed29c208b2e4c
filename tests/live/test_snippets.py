"""The programs that the README shows: each runs as it stands, but for the address."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.acceptance.client import Api
from tests.live.node import ROOT, install_clients

SNIPPETS = ROOT / "docs" / "snippets"
NAMES = sorted(path.name for path in SNIPPETS.iterdir())
ADDRESS = "127.0.0.1:8000"
OPTIONS = {"watch_eventsource.mjs": ["--experimental-eventsource"]}
LINE_S_MAX = 20.0


@asynccontextmanager
async def started(name: str, api: Api) -> AsyncIterator[asyncio.subprocess.Process]:
    text = (SNIPPETS / name).read_text()
    assert text.count(ADDRESS) == 1
    text = text.replace(ADDRESS, api.url.removeprefix("http://"))
    if name.endswith(".mjs"):
        async with install_clients().started(SNIPPETS / name, *OPTIONS.get(name, ()), text=text) as process:
            yield process
        return
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", text, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("name", NAMES)
async def test_it_prints_the_top_and_each_change(api: Api, name: str) -> None:
    await api.submit(userId="1", username="Ada", score=10)
    async with started(name, api) as process, asyncio.timeout(LINE_S_MAX):
        assert process.stdout is not None
        lines = [(await process.stdout.readline()).decode()]
        await api.submit(userId="2", username="Bea", score=30)
        lines.append((await process.stdout.readline()).decode())
    (first, shown), (second, changed) = (line.rstrip("\n").split(" ", 1) for line in lines)
    assert shown == "1. Ada 10"
    assert changed == "1. Bea 30, 2. Ada 10"
    assert int(first) < int(second)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_shows_it_word_for_word(name: str) -> None:
    text = (SNIPPETS / name).read_text()
    language = "python" if name.endswith(".py") else "js"
    shown = f"<!-- docs/snippets/{name} -->\n```{language}\n{text}```\n"
    assert shown in (ROOT / "README.md").read_text()
