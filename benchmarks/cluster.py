"""The service under test: its own `shardboard up` on a free port, with a DATA of its own that goes away with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load import Target
from benchmarks.postgres import run_psql
from benchmarks.processes import HOST, ROOT, find_free_port, running, wait_until_answers

SHARDS = 4
SHARDBOARD = [sys.executable, "-m", "app.cli.main"]

# A line a player: the id, a tab, the name as it stands between the quotes of a JSON string.
_PLAYERS = r"select user_id || E'\t' || regexp_replace(to_json(username)::text, '^.|.$', '', 'g') from players"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running service and what its `cluster.json` says."""

    data: Path
    graphql_url: str
    key: str
    redis_url: str
    direct_urls: list[str]
    pids: dict[str, list[int]]

    def seed(self, players: int, sessions: int) -> Target:
        """Fill it, and write the file of players that the load is drawn from."""
        run_shardboard("seed", "--players", str(players), "--sessions", str(sessions), "--data", str(self.data))
        path = self.data / "players.tsv"
        path.write_text("".join(run_psql(url, _PLAYERS) for url in self.direct_urls))
        return Target(self.graphql_url, path, self.key, pids=self.pids)

    def read_pids(self) -> dict[str, list[int]]:
        """The processes of each role as they are now; `pids` are those of the start."""
        return _pids_by_role(json.loads((self.data / "cluster.json").read_text()))

    def verify_ranks(self, seconds_max: float = 60) -> str:
        """What `shardboard ranks verify` prints once every standing equals its rank.

        Raises:
            RuntimeError: they still differ after `seconds_max`.
        """
        deadline = time.monotonic() + seconds_max
        while True:
            answer = ask_shardboard("ranks", "verify", "--data", str(self.data))
            if answer.returncode == 0:
                return answer.stdout.strip()
            if time.monotonic() > deadline:
                raise RuntimeError(f"ranks differ from standings: {answer.stdout.strip()} {answer.stderr.strip()}")
            # The relay carries over what was written past the service (pgbench) within a second or so.
            time.sleep(1)


@contextmanager
def shardboard_up() -> Iterator[Cluster]:
    """A service with nothing in it, stopped and deleted when the block is left."""
    with tempfile.TemporaryDirectory(prefix="shardboard-bench-") as directory:
        # The servers may run as another user, who has to reach their files.
        Path(directory).chmod(0o755)
        data, port = Path(directory) / "data", find_free_port()
        options = ["--port", str(port), "--shards", str(SHARDS), "--data", str(data)]
        with running([[*SHARDBOARD, "up", *options]], dict(os.environ)) as started:
            wait_until_answers(f"http://{HOST}:{port}/health", started, None, seconds_max=120)
            said = json.loads((data / "cluster.json").read_text())
            yield Cluster(
                data,
                said["graphql_url"],
                said["server_key"],
                said["redis_url"],
                [shard["direct_url"] for shard in said["shards"]],
                _pids_by_role(said),
            )


def run_shardboard(*arguments: str) -> None:
    """Run one command of `shardboard`, its progress on the terminal.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run([*SHARDBOARD, *arguments], cwd=ROOT, check=True, stdout=sys.stderr)


def ask_shardboard(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What one command of `shardboard` says, whether it fails or not."""
    return subprocess.run([*SHARDBOARD, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def _pids_by_role(said: dict[str, Any]) -> dict[str, list[int]]:
    pids: dict[str, list[int]] = {}
    for process in said["processes"]:
        if process["role"] != "supervisor":
            pids.setdefault(process["role"], []).append(process["pid"])
    return pids
