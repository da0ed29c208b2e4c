"""What watchers over WebSocket see of a board that changes."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from infra.local.cluster import LocalCluster
from service.board_watch import READ_PAUSE_S
from tests.acceptance.client import STANDING, Api
from tests.live.inprocess import served_here
from tests.live.sockets import TOP, Socket, ready
from tests.waiting import until

MESSAGES_A_SECOND_MAX = 10
FULL = f"""
    subscription ($first: Int! = 10) {{
        topChanged(first: $first) {{ board sequence asOf entries {{ {STANDING} }} }}
    }}
"""


async def until_shown(socket: Socket, operation_id: str, *users_and_totals: tuple[str, int]) -> dict[str, Any]:
    """The first change that shows exactly this, best first."""
    while True:
        change = await socket.top(operation_id)
        if [(entry["userId"], entry["totalScore"]) for entry in change["entries"]] == list(users_and_totals):
            return change


async def test_first_the_top_as_it_is_then_each_change(api: Api, other_api: Api) -> None:
    await api.submit_many([{"userId": str(n), "username": f"player {n}", "score": n} for n in range(1, 4)])
    async with ready(other_api.url) as socket:
        await socket.subscribe("1", FULL, variables={"first": 2})
        snapshot = await until_shown(socket, "1", ("3", 3), ("2", 2))
        page = await other_api.ask(f"{{ leaderboard(first: 2) {{ nodes {{ {STANDING} }} }} }}")
        assert snapshot["board"] == "global"
        assert snapshot["entries"] == page["leaderboard"]["nodes"]

        # A new player inside the top, written elsewhere; then a new rank; then a new name.
        await api.submit(userId="9", username="Ada", score=9)
        joined = await until_shown(socket, "1", ("9", 9), ("3", 3))
        await api.submit(userId="3", username="player 3", score=10)
        ranked = await until_shown(socket, "1", ("3", 13), ("9", 9))
        await api.submit(userId="9", username="Bea", score=0)
        renamed = await until_shown(socket, "1", ("3", 13), ("9", 9))
    assert [entry["username"] for entry in renamed["entries"]] == ["player 3", "Bea"]
    assert [entry["rank"] for entry in renamed["entries"]] == [1, 2]
    sequences = [change["sequence"] for change in (snapshot, joined, ranked, renamed)]
    assert all(before < after for before, after in pairwise(sequences))
    instants = [change["asOf"] for change in (snapshot, joined, ranked, renamed)]
    assert instants == sorted(instants)


async def test_who_wrote_and_then_watches_sees_the_write(api: Api) -> None:
    async with ready(api.url) as watching, ready(api.url) as late:
        await watching.subscribe("1", TOP)
        assert (await watching.top("1"))["entries"] == []
        for total in range(1, 11):
            # The state shown to the others is older than the write for a moment.
            await api.submit(userId="1", username="Ada", score=1)
            await late.subscribe(str(total), TOP)
            assert [entry["totalScore"] for entry in (await late.top(str(total)))["entries"]] == [total]
            await late.complete(str(total))


async def test_all_processes_count_the_same(api: Api, other_api: Api) -> None:
    seen: list[dict[int, Any]] = []

    async def watch(url: str) -> None:
        shown: dict[int, Any] = {}
        seen.append(shown)
        async with ready(url) as socket:
            await socket.subscribe("1", TOP)
            while True:
                change = await socket.top("1")
                shown[change["sequence"]] = change["entries"]

    def totals() -> list[Any]:
        return [[entry["totalScore"] for entry in shown[max(shown)]] if shown else None for shown in seen]

    watchers = [asyncio.create_task(watch(each.url)) for each in (api, other_api, api)]
    try:
        await until(lambda: totals() == [[], [], []])
        for number in range(1, 31):
            await (api if number % 2 else other_api).submit(userId="1", username="Ada", score=1)
            if number % 10 == 0:
                await until(lambda total=number: totals() == [[total]] * 3)  # type: ignore[misc]
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.wait(watchers)
    # Under one number everybody was shown the same; the last one is the last of all.
    told: dict[int, Any] = {}
    for shown in seen:
        for sequence, entries in shown.items():
            assert told.setdefault(sequence, entries) == entries
    assert len({max(shown) for shown in seen}) == 1


async def test_each_selection_gets_its_fields_and_no_others(api: Api) -> None:
    await api.submit(userId="7", username="Ada", score=5)
    queries = {
        "names": "subscription { topChanged { entries { username } } }",
        "aliases": "subscription { best: topChanged { who: entries { id: userId score: totalScore } b: board } }",
        "fragments": """
            subscription Top($first: Int = 3) { ...root }
            fragment root on Subscription { topChanged(first: $first) { ... { entries { ...who } } } }
            fragment who on Standing { userId ... on Standing { gamesPlayed } }
        """,
        "directives": """
            subscription ($more: Boolean!) {
                topChanged { entries { userId totalScore @include(if: $more) } board @skip(if: $more) }
            }
        """,
        "types": "subscription { topChanged { __typename entries { __typename } } }",
        "loaded": "subscription { topChanged { entries { recentSessions(first: 1) { score } } } }",
    }
    async with ready(api.url) as socket:
        shown = {}
        for name, query in queries.items():
            variables = {"more": True} if name == "directives" else {}
            await socket.subscribe(name, query, variables=variables)
            shown[name] = await socket.next(name)
            await socket.complete(name)
    assert shown == {
        "names": {"data": {"topChanged": {"entries": [{"username": "Ada"}]}}},
        "aliases": {"data": {"best": {"who": [{"id": "7", "score": 5}], "b": "global"}}},
        "fragments": {"data": {"topChanged": {"entries": [{"userId": "7", "gamesPlayed": 1}]}}},
        "directives": {"data": {"topChanged": {"entries": [{"userId": "7", "totalScore": 5}]}}},
        "types": {"data": {"topChanged": {"__typename": "TopChange", "entries": [{"__typename": "Standing"}]}}},
        "loaded": {"data": {"topChanged": {"entries": [{"recentSessions": [{"score": 5}]}]}}},
    }


async def test_several_subscriptions_on_one_socket_each_get_theirs(api: Api) -> None:
    names = "subscription { topChanged { entries { username } } }"
    totals = "subscription { topChanged { entries { totalScore } } }"
    async with ready(api.url) as socket:
        for operation_id, query in (("names", names), ("totals", totals), ("names again", names)):
            await socket.subscribe(operation_id, query)
            assert await socket.top(operation_id) == {"entries": []}
        await api.submit(userId="1", username="Ada", score=1)
        messages = [await socket.receive() for _ in range(3)]
        assert {message["id"]: message["payload"]["data"]["topChanged"]["entries"] for message in messages} == {
            "names": [{"username": "Ada"}],
            "totals": [{"totalScore": 1}],
            "names again": [{"username": "Ada"}],
        }
        # A new total with the old name: nothing to tell those who only see names.
        await api.submit(userId="1", username="Ada", score=1)
        assert await socket.top("totals") == {"entries": [{"totalScore": 2}]}
        await api.submit(userId="1", username="Bea", score=0)
        messages = [await socket.receive() for _ in range(2)]
        assert {message["id"] for message in messages} == {"names", "names again"}


async def test_nothing_comes_when_the_top_did_not_change(api: Api, other_api: Api) -> None:
    await api.submit_many([{"userId": str(n), "username": "Ada", "score": 100 * n} for n in range(1, 4)])
    query = "subscription { topChanged(first: 2) { sequence entries { userId totalScore } } }"
    async with ready(api.url) as socket, ready(other_api.url) as other:
        for each in (socket, other):
            await each.subscribe("1", query)
            await until_shown(each, "1", ("3", 300), ("2", 200))
        for _ in range(3):
            # Below the top that is watched.
            await other_api.submit(userId="1", username="Ada", score=1)
        # In the top again: had the changes below it been told, they would come first.
        await api.submit(userId="2", username="Ada", score=1)
        for each in (socket, other):
            change = await each.top("1")
            assert [entry["totalScore"] for entry in change["entries"]] == [300, 201]


async def test_a_burst_becomes_ten_messages_a_second_at_most_and_ends_with_the_truth(api: Api, other_api: Api) -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    async with ready(other_api.url) as socket:
        await socket.subscribe("1", TOP)
        assert (await socket.top("1"))["entries"] == []

        async def submit(number: int) -> None:
            target = api if number % 2 else other_api
            await target.submit(userId=str(number % 5), username="Ada", score=number)

        async def burst() -> None:
            for start in range(0, 1_000, 20):
                await asyncio.gather(*(submit(number) for number in range(start, start + 20)))

        submitting = asyncio.create_task(burst())
        last: dict[str, Any] = {}
        truth = [(str(user), sum(range(user, 1_000, 5))) for user in (4, 3, 2, 1, 0)]
        while [(entry["userId"], entry["totalScore"]) for entry in last.get("entries", ())] != truth:
            last = await socket.top("1")
            times.append(loop.time())
        await submitting
    assert len(times) < 1_000
    windows = zip(times, times[MESSAGES_A_SECOND_MAX:], strict=False)
    # The service spaces what it sends; on its way two messages may come closer together.
    assert all(after - before > 1.0 - 2 * READ_PAUSE_S for before, after in windows)


async def test_equal_subscriptions_are_executed_once(clean: LocalCluster) -> None:
    async with served_here(clean) as service, ready(service.url) as one, ready(service.url) as other:
        # Equal but for spaces, commas, comments, and a variable that is not declared.
        await one.subscribe("1", "subscription($f: Int) { topChanged(first: $f) { sequence } }", variables={"f": 3})
        await one.next("1")
        await other.subscribe(
            "2",
            "subscription (\n$f: Int,) # top\n{ topChanged(first: $f) { sequence, } }",
            variables={"more": 1, "f": 3},
        )
        await other.next("2")
        assert service.groups == 1
        await other.subscribe("3", "subscription($f: Int) { topChanged(first: $f) { sequence } }", variables={"f": 4})
        await other.next("3")
        assert service.groups == 2
        await other.complete("3")
        await until(lambda: service.groups == 1)
        await other.complete("2")
        await one.complete("1")
        await until(lambda: service.groups == 0)
