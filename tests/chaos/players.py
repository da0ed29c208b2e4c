"""Game servers that submit scores, and send again what was not answered, as good clients do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from domain.ids import make_uuid7
from tests.chaos.clock import now
from tests.chaos.history import Answer, Attempt, Failure, History, Misuse, Submission
from tests.chaos.http import Connection

WRITERS = 64
# Of all submissions these shares are sent again with the same id: at once beside the first, or later.
_AT_ONCE_SHARE, _LATER_SHARE = 0.08, 0.12
_BULK_SHARE = 0.015
# After so many an id that was just acknowledged is sent with other content, half of them for another player.
_MISUSE_SHARE = 0.02
_BULK_MAX = 20
_LATER_S_MAX = 4.0
# A few play all the time: what is wrong for a few milliseconds only is found by who writes every few milliseconds.
_HOT_PLAYERS, _HOT_SHARE = 5, 0.5
_RETRY_REST_S_MIN, _RETRY_REST_S_MAX = 0.02, 0.5
# After so long without an acknowledgement a client gives up, which is a violation: no part stays away for longer.
_PATIENCE_S = 60.0

_PAYLOAD = "payload { standing { rank totalScore gamesPlayed } duplicate }"
_SUBMIT = """
    mutation ($input: SubmitScoreInput!) {
        submitScore(input: $input) { standing { rank totalScore gamesPlayed } duplicate }
    }
"""
_SUBMIT_MANY = f"""
    mutation ($inputs: [SubmitScoreInput!]!) {{
        submitScores(inputs: $inputs) {{ {_PAYLOAD} error {{ code message }} }}
    }}
"""


def choose_players(random: Random, count: int) -> list[int]:
    """User ids all over the buckets, negative ones among them."""
    return [random.randrange(-(2**63), 2**63) for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Game:
    """What all writers share.

    apis: the address of each API process by its name.
    key: what they all show to the service.
    think_s: how long a writer rests between two submissions, on average.
    """

    history: History
    players: Sequence[int]
    apis: Mapping[str, str]
    key: str
    think_s: float

    def connections(self) -> dict[str, Connection]:
        """A connection to each process, by its name."""
        return {name: Connection(url, self.key) for name, url in self.apis.items()}


class Writer:
    """One game server: it submits scores one after the other until it is stopped.

    Args:
        random: decides everything that it does.
    """

    def __init__(self, game: Game, random: Random) -> None:
        self._game = game
        self._random = random
        self._connections = game.connections()
        # A second one to each, for what is sent twice at once.
        self._others = game.connections()
        self._to_repeat: list[tuple[float, Submission]] = []

    async def play(self, stop: asyncio.Event) -> None:
        """Submit until told to stop; what is under way then is sent until it is answered."""
        try:
            while not stop.is_set():
                await self._one_turn()
                await asyncio.sleep(min(self._random.expovariate(1 / self._game.think_s), 20 * self._game.think_s))
            for _, submission in self._to_repeat:
                await self._send_until_answered(submission)
        finally:
            for connection in (*self._connections.values(), *self._others.values()):
                connection.close()

    async def _one_turn(self) -> None:
        at = now()
        due = next((each for each in self._to_repeat if each[0] <= at), None)
        kind = self._random.random()
        if due is not None:
            self._to_repeat.remove(due)
            await self._send_until_answered(due[1])
        elif kind < _BULK_SHARE:
            await self._send_many()
        else:
            submission = self._make()
            if kind < _BULK_SHARE + _AT_ONCE_SHARE:
                await asyncio.gather(
                    self._send_until_answered(submission), self._send(submission, self._any_api(), self._others)
                )
            else:
                await self._send_until_answered(submission)
            if submission.acknowledged_at < float("inf") and self._random.random() < _MISUSE_SHARE:
                await self._misuse(submission)
            if self._random.random() < _LATER_SHARE:
                self._to_repeat.append((at + self._random.uniform(0, _LATER_S_MAX), submission))

    def _make(self) -> Submission:
        hot = self._random.random() < _HOT_SHARE
        user_id = self._random.choice(self._game.players[:_HOT_PLAYERS] if hot else self._game.players)
        score = self._random.choice((1, 1, -1)) * self._random.randrange(1000)
        id_ = make_uuid7(time.time_ns() // 1_000_000, self._random.getrandbits(74))
        return self._game.history.add(Submission(id_, user_id, f"player {user_id}", score))

    async def _send_until_answered(self, submission: Submission) -> None:
        """Send it, and again with the same id, to any process, until it is answered."""
        give_up_at, rest_s = now() + _PATIENCE_S, _RETRY_REST_S_MIN
        while now() < give_up_at:
            if not isinstance(await self._send(submission, self._any_api(), self._connections), Failure):
                return
            await asyncio.sleep(rest_s * self._random.uniform(0.5, 1))
            rest_s = min(2 * rest_s, _RETRY_REST_S_MAX)

    async def _send(
        self, submission: Submission, api: str, connections: Mapping[str, Connection]
    ) -> Answer | Failure | None:
        attempt = submission.begin(api, now())
        data = await connections[api].ask(_SUBMIT, {"input": _input(submission)})
        _end(attempt, data if isinstance(data, Failure) else _answer(data["submitScore"]))
        return attempt.outcome

    async def _send_many(self) -> None:
        """One request with many, one of them twice; those that are not answered are sent again one by one."""
        submissions = [self._make() for _ in range(self._random.randint(2, _BULK_MAX))]
        sent = [*submissions, self._random.choice(submissions)]
        api = self._any_api()
        at = now()
        attempts = [submission.begin(api, at, is_bulk=True) for submission in sent]
        inputs = {"inputs": [_input(submission) for submission in sent]}
        data = await self._connections[api].ask(_SUBMIT_MANY, inputs)
        outcomes = [data] * len(sent) if isinstance(data, Failure) else [*map(_result, data["submitScores"])]
        for attempt, outcome in zip(attempts, outcomes, strict=True):
            _end(attempt, outcome)
        for submission in submissions:
            if submission.acknowledged_at == float("inf"):
                await self._send_until_answered(submission)

    async def _misuse(self, submission: Submission) -> None:
        """Send its id with other content, which has to be refused."""
        api = self._any_api()
        user_id, score = submission.user_id, submission.score + 1
        if self._random.random() < 0.5:
            others = [user for user in self._game.players if user != submission.user_id]
            user_id, score = self._random.choice(others), submission.score
        misuse = Misuse(submission.id, user_id, score, Attempt(api, now()))
        self._game.history.misuses.append(misuse)
        other = Submission(submission.id, user_id, submission.username, score)
        data = await self._connections[api].ask(_SUBMIT, {"input": _input(other)})
        _end(misuse.attempt, data if isinstance(data, Failure) else _answer(data["submitScore"]))

    def _any_api(self) -> str:
        return self._random.choice(sorted(self._game.apis))


def _input(submission: Submission) -> dict[str, Any]:
    return {
        "userId": str(submission.user_id),
        "username": submission.username,
        "score": submission.score,
        "submissionId": str(submission.id),
    }


def _end(attempt: Attempt, outcome: Answer | Failure) -> None:
    attempt.ended_at = now()
    attempt.outcome = outcome


def _answer(payload: dict[str, Any]) -> Answer:
    standing = payload["standing"]
    return Answer(standing["totalScore"], standing["gamesPlayed"], standing["rank"], payload["duplicate"])


def _result(result: dict[str, Any]) -> Answer | Failure:
    error = result["error"]
    return Failure(error["code"], error["message"]) if error else _answer(result["payload"])
