"""What the benchmark's watchers send, how they read, and how a crowd is judged; no load."""

from __future__ import annotations

import asyncio

import pytest
from graphql import build_schema, parse, validate

from benchmarks.goals import judge_watchers
from benchmarks.watchers.crowd import Crowd, CrowdError
from benchmarks.watchers.frames import PING, TEXT, frame, split
from benchmarks.watchers.measure import CROWDS, Watched, make_queries
from infra.local.cluster import LocalCluster
from tests.deploy.serving import ROOT
from tests.deploy.serving import served as served_api


def served(kind: int, payload: bytes) -> bytes:
    """A frame as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes([kind, size]) + payload
    if size < 65_536:
        return bytes([kind, 126]) + size.to_bytes(2, "big") + payload
    return bytes([kind, 127]) + size.to_bytes(8, "big") + payload


FRAMES = [(TEXT, b""), (TEXT, b"a" * 125), (PING, b"1234"), (TEXT, b"b" * 126), (TEXT, b"c" * 70_000)]


def test_frames_are_found_in_what_came() -> None:
    data = b"".join(served(*each) for each in FRAMES)
    assert split(data) == (FRAMES, b"")


@pytest.mark.parametrize("cut", [0, 1, 2, 100, 128, 135, 136, 137, 200, 270, 273, 280, 70_000])
def test_what_is_not_whole_waits_for_the_rest(cut: int) -> None:
    data = b"".join(served(*each) for each in FRAMES)
    first, rest = split(data[:cut])
    second, nothing = split(rest + data[cut:])
    assert first + second == FRAMES
    assert nothing == b""


def test_a_frame_of_a_client_is_masked() -> None:
    assert frame(TEXT, b"ab") == b"\x81\xfe\x00\x02\x00\x00\x00\x00ab"


def test_the_selections_are_different_and_valid() -> None:
    queries = make_queries(50)
    assert len(set(queries)) == max(selections for _, selections in CROWDS.values()) == 50
    schema = build_schema((ROOT / "graph" / "schema.graphql").read_text())
    assert [validate(schema, parse(query)) for query in queries] == [[]] * 50


def test_a_crowd_is_judged_by_its_slowest_its_memory_and_what_it_missed() -> None:
    good = Watched(10_000, 1, 8, 100.0, 499.9, 900.0, 200.0, 44.9, 0)
    bad = Watched(10_000, 1, 8, 100.0, 500.0, 900.0, 200.0, 45.0, 1)
    assert [goal.met for goal in judge_watchers("10,000", good)] == [True, True, True]
    assert [goal.met for goal in judge_watchers("10,000", bad)] == [False, False, False]


async def test_a_crowd_watches_with_its_key(clean: LocalCluster) -> None:
    # Nobody without one may watch at all.
    async with served_api(clean, environment={"SHARDBOARD_READS_OPEN": "false"}) as api:
        endpoint = ("127.0.0.1", api.port)

        def watch(key: str) -> None:
            with Crowd(endpoint, make_queries(3), 5, key):
                pass  # entered once each of them was shown the top

        await asyncio.to_thread(watch, api.key)
        with pytest.raises(CrowdError, match="Forbidden"):
            await asyncio.to_thread(watch, "a key that is none")
