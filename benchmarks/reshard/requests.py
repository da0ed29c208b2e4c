"""What the load consists of, as bytes: made with few operations, because the generator shares the machine."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

# The documents of wrk/submit_score.lua and wrk/rank.lua.
_SUBMIT = (
    b'{"query":"mutation Submit($input: SubmitScoreInput!) { submitScore(input: $input) '
    b'{ duplicate session { id playedAt } standing { rank totalScore gamesPlayed } } }","variables":{"input":'
)
_RANK = (
    b'{"query":"query Rank($userId: ID!) { rank(userId: $userId) '
    b'{ rank userId username totalScore gamesPlayed } }","variables":{"userId":"'
)
_MODES = (b"solo", b"duo", b"squad", b"ranked")

MakeRequest = Callable[[], bytes]


def make_head(url: str, key: str | None) -> bytes:
    """Everything of a request before the length of its body."""
    address = urlsplit(url)
    authorization = f"authorization: Bearer {key}\r\n" if key else ""
    return (
        f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
        f"{authorization}content-length: "
    ).encode()


def submissions(head: bytes, players: Sequence[bytes]) -> MakeRequest:
    """Makes submissions of random players, each with an id that a client made.

    Args:
        players: the lines of the file that benchmarks/cluster.py writes.
    """
    draw, count = random.random, len(players)

    def make() -> bytes:
        user, _, name = players[int(draw() * count)].partition(b"\t")
        score, mode, seconds = int(draw() * 1001), _MODES[int(draw() * 4)], 30 + int(draw() * 1771)
        body = b'%s{"userId":"%s","username":"%s","score":%d,"gameMode":"%s","durationSeconds":%d,' % (
            _SUBMIT, user, name, score, mode, seconds
        )  # fmt: skip
        body += b'"submissionId":"%s"}}}' % make_id()
        return b"%s%d\r\n\r\n%s" % (head, len(body), body)

    return make


def rank_reads(head: bytes, players: Sequence[bytes]) -> MakeRequest:
    """Makes reads of the ranks of random players."""
    draw, count = random.random, len(players)

    def make() -> bytes:
        user = players[int(draw() * count)].partition(b"\t")[0]
        body = b'%s%s"}}' % (_RANK, user)
        return b"%s%d\r\n\r\n%s" % (head, len(body), body)

    return make


def make_id() -> bytes:
    """A UUIDv7: the milliseconds of now, 74 random bits."""
    ms, bits = int(time.time() * 1000), random.getrandbits(74)
    return b"%08x-%04x-7%03x-%04x-%012x" % (
        ms >> 16, ms & 0xFFFF, bits & 0xFFF, 0x8000 | bits >> 12 & 0x3FFF, bits >> 26
    )  # fmt: skip


def is_whole(data: bytes) -> bool:
    """Whether an answer has come to its end.

    Raises:
        ValueError: it does not say how long it is.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = data.find(b"\r\ncontent-length: ", 0, end)
    if at < 0:
        raise ValueError("an answer without its length")
    return len(data) >= end + 4 + int(data[at + 18 : data.index(b"\r\n", at + 18)])


def is_right(answer: bytes) -> bool:
    """Whether it is what was asked for: a total and a rank, and no errors."""
    return (
        answer.startswith(b"HTTP/1.1 200 ")
        and b'"errors"' not in answer
        and b'"totalScore":' in answer
        and b'"rank":null' not in answer
    )
