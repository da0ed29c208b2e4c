"""Players for Locust: SubmitUser writes, ReadUser reads, MixedUser does both as a game does, WatchUser watches.

    locust -f locustfiles/locustfile.py MixedUser --host http://127.0.0.1:8000 --key $KEY

Works against any host that serves the public schema, and imports nothing of the service. Each operation has its own
line in Locust's statistics; an answer with GraphQL errors counts as a failure though its HTTP status is 200.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from argparse import ArgumentParser
from datetime import UTC, datetime
from json import dumps, loads
from typing import Any

from locust import FastHttpUser, User, between, events, task
from websocket import WebSocket, WebSocketException, create_connection

SUBMIT = """
mutation Submit($input: SubmitScoreInput!) {
  submitScore(input: $input) { duplicate session { id playedAt } standing { rank totalScore gamesPlayed } }
}"""
SUBMIT_MANY = """
mutation SubmitMany($inputs: [SubmitScoreInput!]!) {
  submitScores(inputs: $inputs) { payload { duplicate standing { rank totalScore } } error { code message } }
}"""
TOP = """
query Top($first: Int!, $after: String) {
  leaderboard(first: $first, after: $after) {
    nodes { rank userId username totalScore gamesPlayed }
    pageInfo { hasNextPage endCursor }
    totalCount
  }
}"""
RANK = "query Rank($userId: ID!) { rank(userId: $userId) { rank username totalScore percentile } }"
RANKS = "query Ranks($userIds: [ID!]!) { ranks(userIds: $userIds) { rank userId totalScore } }"
AROUND = "query Around($userId: ID!) { around(userId: $userId, radius: 5) { rank userId username totalScore } }"
HISTORY = """
query History($userId: ID!, $first: Int!) {
  history(userId: $userId, first: $first) { nodes { id score gameMode playedAt } totalCount }
}"""
WATCH = """
subscription Watch($first: Int!) {
  topChanged(first: $first) { sequence asOf entries { rank userId username totalScore } }
}"""

GAME_MODES = ("solo", "duo", "squad", "ranked")


def add_options(parser: ArgumentParser) -> None:
    """What a run can be told beyond Locust's own options."""
    # A keyword of Locust's own parser: keeps the key out of the web page.
    secret: dict[str, Any] = {"is_secret": True}
    parser.add_argument(
        "--key",
        default=os.environ.get("SHARDBOARD_KEY", ""),
        help="Sent as `Authorization: Bearer`; default: the variable SHARDBOARD_KEY.",
        **secret,
    )
    parser.add_argument("--players", type=int, default=100_000, help="User ids are drawn from 1 to this number.")
    parser.add_argument("--bulk", type=int, default=20, help="Sessions in one submitScores.")


events.init_command_line_parser.add_listener(add_options)  # type: ignore[no-untyped-call]


def make_uuid7() -> str:
    """A UUIDv7 of now: the idempotency key of one session."""
    random_bits = random.getrandbits(74)
    value = time.time_ns() // 1_000_000 << 80 | 7 << 76 | random_bits >> 62 << 64 | 0b10 << 62 | random_bits % 2**62
    return str(uuid.UUID(int=value))


class GraphQLUser(FastHttpUser):
    """A player who speaks GraphQL; what it does is up to its subclasses."""

    abstract = True
    # A game server, not a person: sessions end and boards are looked at every second or so.
    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        """Takes the key of the run, if it has one."""
        key = self.environment.parsed_options.key
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def run_operation(self, name: str, document: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        """Sends one operation, counted under `name`; gives its data, or None after counting a failure."""
        body = {"query": document, "variables": variables}
        with self.client.post("/graphql", json=body, headers=self.headers, name=name, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"HTTP {response.status_code}: {(response.text or '')[:200]}")
                return None
            answer = response.json()
            if answer.get("errors"):
                first = answer["errors"][0]
                response.failure(f"{first.get('extensions', {}).get('code', 'no code')}: {first['message']}")
                return None
            data: dict[str, Any] = answer["data"]
            refused = [one["error"] for one in data.get("submitScores", ()) if one["error"]]
            if refused:
                response.failure(f"{len(refused)} sessions refused, first: {refused[0]['code']}")
            return data

    def draw_user_id(self) -> str:
        """A player at random."""
        return str(random.randint(1, self.environment.parsed_options.players))

    def make_session(self) -> dict[str, Any]:
        """What one played game sends."""
        user_id = self.draw_user_id()
        return {
            "userId": user_id,
            "username": f"player-{user_id}",
            "score": random.randint(0, 1_000),
            "gameMode": random.choice(GAME_MODES),
            "durationSeconds": random.randint(30, 1_800),
            "submissionId": make_uuid7(),
        }

    def submit_one(self) -> None:
        """One session in one request."""
        self.run_operation("submitScore", SUBMIT, {"input": self.make_session()})

    def submit_many(self) -> None:
        """What a game server sends that collects sessions first."""
        inputs = [self.make_session() for _ in range(self.environment.parsed_options.bulk)]
        self.run_operation("submitScores", SUBMIT_MANY, {"inputs": inputs})

    def read_top(self) -> None:
        """The top of the board and, one time in five, the page after it."""
        data = self.run_operation("leaderboard", TOP, {"first": 10, "after": None})
        if data and data["leaderboard"]["pageInfo"]["hasNextPage"] and random.random() < 0.2:
            after = data["leaderboard"]["pageInfo"]["endCursor"]
            self.run_operation("leaderboard, next page", TOP, {"first": 10, "after": after})

    def read_rank(self) -> None:
        """Where one player stands."""
        self.run_operation("rank", RANK, {"userId": self.draw_user_id()})

    def read_ranks(self) -> None:
        """Where ten friends stand."""
        self.run_operation("ranks", RANKS, {"userIds": [self.draw_user_id() for _ in range(10)]})

    def read_around(self) -> None:
        """A player's neighbours on the board."""
        self.run_operation("around", AROUND, {"userId": self.draw_user_id()})

    def read_history(self) -> None:
        """A player's last sessions."""
        self.run_operation("history", HISTORY, {"userId": self.draw_user_id(), "first": 20})


class SubmitUser(GraphQLUser):
    """Only writes."""

    submit_one = task(20)(GraphQLUser.submit_one)
    submit_many = task(1)(GraphQLUser.submit_many)


class ReadUser(GraphQLUser):
    """Only reads."""

    read_top = task(8)(GraphQLUser.read_top)
    read_rank = task(6)(GraphQLUser.read_rank)
    read_history = task(3)(GraphQLUser.read_history)
    read_around = task(2)(GraphQLUser.read_around)
    read_ranks = task(1)(GraphQLUser.read_ranks)


class MixedUser(GraphQLUser):
    """Plays a game, then looks where that got it: about four reads a write."""

    @task
    def play(self) -> None:
        """One write, then what a game shows on its result screen."""
        self.submit_one()
        self.read_rank()
        self.read_top()
        if random.random() < 0.5:
            self.read_around()
        if random.random() < 0.5:
            self.read_history()


class WatchUser(User):
    """Watches the top of the board over WebSocket, and connects again when it is cut off.

    Two lines in the statistics: `topChanged, connected` is the time from the first byte to the first frame, and
    `topChanged, change` the age of each further state, from its `asOf` to its receipt: right where the clocks of both
    machines are.
    """

    # Between being cut off and connecting again.
    wait_time = between(0.5, 1.5)
    connect_s_max = 10.0

    @task
    def watch(self) -> None:
        """Watches until it is cut off, or the run ends."""
        started = time.perf_counter()
        try:
            socket = self.open_socket()
        except (OSError, WebSocketException, ValueError) as error:
            self.count("topChanged, connected", (time.perf_counter() - started) * 1000, 0, error)
            return
        try:
            sequence, _, length = self.read_state(socket)
            self.count("topChanged, connected", (time.perf_counter() - started) * 1000, length)
            socket.settimeout(None)
            while True:
                before, (sequence, as_of, length) = sequence, self.read_state(socket)
                age_ms = (datetime.now(UTC) - as_of).total_seconds() * 1000
                wrong = None if sequence > before else ValueError(f"sequence {sequence} after {before}")
                self.count("topChanged, change", max(0.0, age_ms), length, wrong)
        except (OSError, WebSocketException, ValueError, KeyError) as error:
            self.count("topChanged, change", 0.0, 0, error)
        finally:
            socket.close()

    def open_socket(self) -> WebSocket:
        """A socket on which the subscription was begun."""
        key = self.environment.parsed_options.key
        socket = create_connection(
            f"{(self.host or '').replace('http', 'ws', 1)}/graphql",
            timeout=self.connect_s_max,
            subprotocols=["graphql-transport-ws"],
            header=[f"Authorization: Bearer {key}"] if key else [],
            enable_multithread=False,
        )
        socket.send(dumps({"type": "connection_init"}))
        payload = {"query": WATCH, "variables": {"first": 10}}
        socket.send(dumps({"id": "1", "type": "subscribe", "payload": payload}))
        acknowledged = loads(socket.recv() or "{}")
        if acknowledged.get("type") != "connection_ack":
            socket.close()
            raise ValueError(f"not acknowledged: {acknowledged}")
        return socket

    def read_state(self, socket: WebSocket) -> tuple[int, datetime, int]:
        """The sequence, instant and length of the next state."""
        text = socket.recv()
        if not text:
            raise ValueError("the service closed the socket")
        message = loads(text)
        if message["type"] != "next":
            raise ValueError(f"{message['type']}: {message.get('payload')}")
        top = message["payload"]["data"]["topChanged"]
        return top["sequence"], datetime.fromisoformat(top["asOf"]), len(text)

    def count(self, name: str, response_time_ms: float, length: int, error: Exception | None = None) -> None:
        """One line more for Locust's statistics."""
        self.environment.events.request.fire(
            request_type="WS",
            name=name,
            response_time=response_time_ms,
            response_length=length,
            exception=error,
            context={},
        )
