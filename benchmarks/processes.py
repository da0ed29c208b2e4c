"""Starting servers, waiting until they answer, ending them."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[1]


def find_free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(commands: Sequence[Sequence[str]], environment: dict[str, str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes of these commands, ended in any case when the block is left."""
    processes = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) for command in commands
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_answers(
    url: str, processes: Sequence[subprocess.Popen[bytes]], body: object, seconds_max: float
) -> None:
    """Wait until `url` answers 200 to `body` as JSON, or to a GET where it is None.

    Raises:
        RuntimeError: a process ended first, or the time is over.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        for process in processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within {seconds_max} s")
