"""The load generator as the benchmark sees it: started, left alone, stopped, and asked what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load import Target
from benchmarks.processes import ROOT
from benchmarks.reshard.generator import Found, Order
from benchmarks.reshard.latencies import Sample, read_samples

SUBMISSION_CONNECTIONS = 128
RANK_CONNECTIONS = 32

_COMMAND = [sys.executable, "-m", "benchmarks.reshard.generator"]
_END_S_MAX = 60.0


class Load:
    """A load under way.

    Attributes:
        pid: the generator.
        submissions, ranks: after `stop`, their samples in the order in which they were due.
        first_failure: after `stop`, what was said to the first submission, or else rank read, that failed.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.pid = process.pid
        self.submissions: list[Sample] = []
        self.ranks: list[Sample] = []
        self.first_failure = ""
        self._process = process
        self._read_line()

    def stop(self) -> None:
        """Let nothing fall due any more, wait for the last answers, and take in what was found.

        Raises:
            RuntimeError: the generator has ended by itself.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        found = {name: Found(**each) for name, each in json.loads(self._read_line()).items()}
        self._process.wait(_END_S_MAX)
        self.submissions, self.ranks = (read_samples(Path(found[name].samples)) for name in ("submissions", "ranks"))
        self.first_failure = found["submissions"].first_wrong or found["ranks"].first_wrong

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended with {self._process.wait(_END_S_MAX)}")
        return line


@contextmanager
def running_load(target: Target, submissions: float, ranks: float) -> Iterator[Load]:
    """A load of so many submissions and rank reads a second, under way when the block is entered."""
    with TemporaryDirectory(prefix="shardboard-load-") as directory:
        order = Order(
            url=target.url,
            key=target.key,
            players=str(target.players),
            samples=directory,
            submissions=submissions,
            ranks=ranks,
            submission_connections=SUBMISSION_CONNECTIONS,
            rank_connections=RANK_CONNECTIONS,
        )
        process = subprocess.Popen(_COMMAND, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(asdict(order)) + "\n")
            process.stdin.flush()
            yield Load(process)
        finally:
            process.kill()
            process.wait()
