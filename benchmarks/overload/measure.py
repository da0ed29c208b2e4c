"""Three times what the service can do is asked of it, after that was measured; then it is left in peace again."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from benchmarks.cluster import shardboard_up
from benchmarks.load import Target
from benchmarks.overload.generator import Order, Phase
from benchmarks.processes import ROOT

TIMES = 3.0
BEFORE, OVERLOAD, AFTER, LATER = "before", "overload", "after", "later"

_COMMAND = [sys.executable, "-m", "benchmarks.overload.generator"]


@dataclass(frozen=True, slots=True)
class Overloaded:
    """What was found: `capacity` in submissions a second, the phases in order, and what the ranks say after all."""

    capacity: float
    times: float
    phases: dict[str, Phase]
    verified: str


def measure_overload(players: int, sessions: int, seconds: float) -> Overloaded:
    """Overload a service of its own."""
    with shardboard_up() as cluster:
        phases = send_overload(cluster.seed(players, sessions), seconds)
        return Overloaded(phases["capacity"].accepted_per_second, TIMES, phases, cluster.verify_ranks())


def send_overload(target: Target, seconds: float) -> dict[str, Phase]:
    """The phases of a load on a service that runs."""
    order = Order(target.url, target.key, str(target.players), seconds, TIMES)
    answer = subprocess.run(
        _COMMAND, cwd=ROOT, input=json.dumps(asdict(order)) + "\n", stdout=subprocess.PIPE, text=True, check=True
    )
    return {name: Phase(**phase) for name, phase in json.loads(answer.stdout).items()}
