"""Every key in Redis. All keys of one board share a hash tag, so that a Redis Cluster keeps them together."""

from __future__ import annotations

from dataclasses import dataclass, field

# Channel on which a process tells the others that boards changed; the message is its id and the board's name.
CHANGES_CHANNEL = "shardboard:changes"

# What the counters of rate limits begin with, which the library `limits` names itself.
RATE_LIMITS_PREFIX = "shardboard:limits"


SEEN_IDS_LIFE = "shardboard:{seen}:life"
"""Hash; `run`, the run of the server whose filters of submission ids these are, and `since`, milliseconds since 1970:
of ids up to then they know nothing (see scripts/seen.lua)."""
# GraphQL documents that clients name by their hash: a hash from it to the text, and a sorted set of it by the second at
# which it was last asked for.
DOCUMENTS_TEXTS = "shardboard:{documents}:texts"
DOCUMENTS_USED = "shardboard:{documents}:used"


def seen_ids_key(day: int) -> str:
    """The Bloom filter of the submission ids that carry a time in `day`, counted from 1970."""
    return f"shardboard:{{seen}}:{day}"


def active_players_key(minute: int) -> str:
    """The players who submitted in a minute, counted from 1970; a HyperLogLog."""
    return f"shardboard:{{active}}:{minute}"


@dataclass(frozen=True, slots=True)
class BoardKeys:
    """The keys of one board.

    ranks: sorted set; member = the player (see ranking/members.py), score = −total, so that ascending order is best
        first and, in a tie, smaller user id first.
    rows: hash from the same member to the packed rest of the row.
    ready: present while `ranks` and `rows` are whole; lost together with them.
    version: hash; `sequence`, the number of the board's state, grows by one a change; `run`, the run of the server for
        which it holds (see scripts/top.lua).
    marks: hash from a shard's incarnation to the transaction id up to which the relay has carried its changes.
    building: present while a rebuild fills `ranks_next` and `rows_next`; holds its token and step.
    """

    board: str
    ranks: str = field(init=False)
    rows: str = field(init=False)
    ready: str = field(init=False)
    version: str = field(init=False)
    marks: str = field(init=False)
    building: str = field(init=False)
    ranks_next: str = field(init=False)
    rows_next: str = field(init=False)

    def __post_init__(self) -> None:
        for name in ("ranks", "rows", "ready", "version", "marks", "building", "ranks_next", "rows_next"):
            object.__setattr__(self, name, f"shardboard:{{{self.board}}}:{name}")

    @property
    def drift_lease(self) -> str:
        """Held by the one process that compares the ranks with the shards."""
        return f"shardboard:{{{self.board}}}:drift"

    def relay_lease(self, shard: str) -> str:
        """Held by the one process whose relay looks after `shard`."""
        return f"shardboard:{{{self.board}}}:relay:{shard}"
