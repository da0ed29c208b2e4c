"""A short run of each Locust user against a real service."""

from __future__ import annotations

import asyncio
import csv
import sys
from pathlib import Path

import pytest

from infra.local.cluster import LocalCluster
from tests.acceptance.client import Api
from tests.deploy.serving import ROOT, served

# What each of them does in any case; the rarer operations come by chance.
OPERATIONS = {
    "SubmitUser": {"submitScore"},
    "ReadUser": {"leaderboard", "rank"},
    "MixedUser": {"submitScore", "rank", "leaderboard"},
}


LOCUSTFILE = ROOT / "locustfiles" / "locustfile.py"
BULK = f"""
import sys
from locust import task
sys.path.insert(0, {str(LOCUSTFILE.parent)!r})
from locustfile import GraphQLUser

class BulkUser(GraphQLUser):
    submit_many = task(GraphQLUser.submit_many)
"""


async def run_locust(
    file: Path, directory: Path, host: str, user: str, *options: str
) -> tuple[int, list[dict[str, str]]]:
    """Its exit code, and its statistics: a line an operation."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "-f", str(file), user, "--headless"),
        *("--host", host, "--users", "10", "--spawn-rate", "10", "--run-time", "3s", "--stop-timeout", "5"),
        *("--players", "50", "--csv", str(directory / "run"), *options),
        cwd=directory,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    code = await asyncio.wait_for(process.wait(), 60)
    with (directory / "run_stats.csv").open(newline="") as lines:
        return code, list(csv.DictReader(lines))


@pytest.mark.parametrize("user", ["SubmitUser", "ReadUser", "MixedUser"])
async def test_no_request_fails(clean: LocalCluster, tmp_path: Path, user: str) -> None:
    async with served(clean, environment={"SHARDBOARD_READS_OPEN": "false"}) as api:
        code, statistics = await run_locust(LOCUSTFILE, tmp_path, api.url, user, "--key", api.key)
    counted = {line["Name"]: (int(line["Request Count"]), int(line["Failure Count"])) for line in statistics}
    assert code == 0
    assert counted["Aggregated"][0] >= 10
    assert [name for name, (_, failures) in counted.items() if failures] == []
    assert counted.keys() >= OPERATIONS[user]


async def test_a_graphql_error_in_a_good_answer_is_a_failure(clean: LocalCluster, tmp_path: Path) -> None:
    bulk = tmp_path / "bulk.py"
    bulk.write_text(BULK)
    # More sessions than submitScores takes: refused whole, with status 200.
    async with served(clean) as api:
        code, statistics = await run_locust(bulk, tmp_path, api.url, "BulkUser", "--bulk", "1001", "--key", api.key)
    counted = {line["Name"]: (int(line["Request Count"]), int(line["Failure Count"])) for line in statistics}
    assert code == 1
    requests, failures = counted["submitScores"]
    assert requests == failures > 0


async def test_watchers_are_shown_the_top_and_its_changes(clean: LocalCluster, tmp_path: Path) -> None:
    # Only with the key may they watch.
    async with (
        served(clean, environment={"SHARDBOARD_READS_OPEN": "false"}) as api,
        Playing(api.url, api.key),
    ):
        code, statistics = await run_locust(LOCUSTFILE, tmp_path, api.url, "WatchUser", "--key", api.key)
    counted = {line["Name"]: (int(line["Request Count"]), int(line["Failure Count"])) for line in statistics}
    assert code == 0
    assert counted["topChanged, connected"] == (10, 0)
    # Ten watchers, of a board that changes several times a second.
    changes, failures = counted["topChanged, change"]
    assert changes > 10
    assert failures == 0


async def test_a_watcher_who_is_cut_off_counts_a_failure_and_comes_back(clean: LocalCluster, tmp_path: Path) -> None:
    # Room for half of them; the others are closed with 1013 and try again.
    async with served(clean, environment={"SHARDBOARD_CONNECTIONS_MAX": "5"}) as api:
        code, statistics = await run_locust(LOCUSTFILE, tmp_path, api.url, "WatchUser", "--key", api.key)
    counted = {line["Name"]: (int(line["Request Count"]), int(line["Failure Count"])) for line in statistics}
    assert code == 1
    requests, failures = counted["topChanged, connected"]
    assert requests - failures == 5
    # More than once each.
    assert failures > 5


class Playing:
    """A player who submits again and again, one score after the other, while the block runs."""

    def __init__(self, url: str, key: str) -> None:
        self._api = Api(url, key)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._play())

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        assert not self._task.done(), self._task.exception()
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._api.http.aclose()

    async def _play(self) -> None:
        while True:
            await self._api.submit(userId="1", username="Ada", score=1)
