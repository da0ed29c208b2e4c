"""Players who submit, read and watch through every API process that there is, while the tables change under them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from domain.tasks import end_tasks
from tests.acceptance.client import Api
from tests.live.sockets import opened
from tests.waiting import until

PLAYERS = 12
_TOP = "subscription { topChanged(first: 12) { sequence entries { rank userId totalScore } } }"


class Traffic:
    """What was acknowledged: every answer is checked at once, so a failure ends the test.

    apis: by the version's name, those that are asked now.
    """

    def __init__(self) -> None:
        self.apis: dict[str, Api] = {}
        self.totals: Counter[int] = Counter()
        self.games: Counter[int] = Counter()
        self.answers: Counter[str] = Counter()
        self.shown: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let everybody play."""
        self._tasks = [asyncio.create_task(self._play(user_id)) for user_id in range(1, PLAYERS + 1)]

    def watch(self, version: str) -> None:
        """Watch the top through a version's process, to its end."""
        self._tasks.append(asyncio.create_task(self._watch(version, self.apis[version])))

    async def reaches(self, *versions: str, more: int = 30) -> None:
        """Wait until each version has answered so many times more."""
        goals = {version: self.answers[version] + more for version in versions}

        def reached() -> bool:
            self.check()
            return all(self.answers[version] >= goal for version, goal in goals.items())

        await until(reached, seconds_max=60)

    async def leave(self, version: str) -> None:
        """Ask a version no more, and wait until it has answered what it was asked."""
        del self.apis[version]
        await until(lambda: not self._under_way[version])

    async def stop(self) -> None:
        """Stop everybody between two requests."""
        for version in list(self.apis):
            await self.leave(version)
        self.check()
        await self.end()

    async def end(self) -> None:
        """Stop everybody at once."""
        await end_tasks(self._tasks)

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _play(self, user_id: int) -> None:
        for turn in count():
            versions = sorted(self.apis)
            if not versions:
                await asyncio.sleep(0.02)
                continue
            version = versions[(turn + user_id) % len(versions)]
            api = self.apis[version]
            self._under_way[version] += 1
            try:
                await self._submit_and_read(api, user_id, turn)
            finally:
                self._under_way[version] -= 1
            self.answers[version] += 1

    async def _submit_and_read(self, api: Api, user_id: int, turn: int) -> None:
        payload = await api.submit(userId=str(user_id), username=f"player {user_id}", score=turn + 1)
        self.totals[user_id] += turn + 1
        self.games[user_id] += 1
        standing = payload["standing"]
        assert (standing["totalScore"], standing["gamesPlayed"]) == (self.totals[user_id], self.games[user_id])
        data = await api.ask(
            f"{{ rank(userId: {user_id}) {{ totalScore }} history(userId: {user_id}, first: 1) {{ nodes {{ score }} }}"
            " leaderboard(first: 3) { nodes { rank } } }"
        )
        assert data["rank"] == {"totalScore": self.totals[user_id]}
        assert data["history"] == {"nodes": [{"score": turn + 1}]}

    async def _watch(self, version: str, api: Api) -> None:
        async with opened(api.url) as socket:
            await socket.init(api.credential)
            await socket.subscribe("top", _TOP)
            sequence = -1
            while version in self.apis:
                top = (await socket.next("top"))["data"]["topChanged"]
                assert top["sequence"] > sequence
                sequence = top["sequence"]
                self.shown[version] += 1


@asynccontextmanager
async def playing() -> AsyncIterator[Traffic]:
    """Traffic that ends with the block, whatever ends it."""
    traffic = Traffic()
    traffic.start()
    try:
        yield traffic
    finally:
        await traffic.end()
