"""Runs the plain design: as many processes as the service has, of the same HTTP server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import Target
from benchmarks.plain.seed import drop_plain, seed_plain
from benchmarks.processes import HOST, find_free_port, running, wait_until_answers
from benchmarks.serve import serve_commands


@contextmanager
def plain_design(database_url: str, redis_url: str, players: Path, sessions: int) -> Iterator[Target]:
    """The plain design, filled and answering; taken away again at the end.

    Args:
        database_url: a Postgres without a pooler before it: the plain design keeps its own pool.
        redis_url: its cache.
        players: the file that benchmarks/cluster.py writes.
        sessions: how many to fill in.
    """
    seed_plain(database_url, players, sessions)
    port = find_free_port()
    environment = os.environ | {"PLAIN_DATABASE_URL": database_url, "PLAIN_REDIS_URL": redis_url}
    url = f"http://{HOST}:{port}/graphql"
    with running(serve_commands(port, "benchmarks.plain.app:app"), environment) as started:
        wait_until_answers(url, started, {"query": "{ __typename }"}, seconds_max=30)
        yield Target(url, players, ask_for_rank=False)
    drop_plain(database_url)
