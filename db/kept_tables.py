"""Which tables a backup holds, which not, and why; a test sees to it that none is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from db import tables

# The transaction id of another Postgres means nothing: a restored standing gets that of its restore, for the relay.
_NUMBERED_ANEW = "changed_xid"


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table that is backed up.

    columns: those that are kept, in the order of the files.
    sums: the columns whose sums are kept with the number of rows, to be compared after a restore.
    by_bucket: whether only the rows of the shard's own buckets are kept, and all that are there after a restore are its
        own; a table that every shard has alike is merged into what is there.
    numbered: whether its rows get the id of the transaction that restores them.
    """

    name: str
    columns: tuple[str, ...]
    sums: tuple[str, ...] = ()
    by_bucket: bool = True
    numbered: bool = False


def _columns(name: str) -> tuple[str, ...]:
    return tuple(str(column.name) for column in tables.metadata.tables[name].columns if column.name != _NUMBERED_ANEW)


KEPT_TABLES = (
    KeptTable("boards", _columns("boards"), by_bucket=False),
    KeptTable("api_keys", _columns("api_keys"), by_bucket=False),
    KeptTable("players", _columns("players")),
    KeptTable("leaderboard", _columns("leaderboard"), sums=("total_score", "games_played", "revision"), numbered=True),
    KeptTable("game_sessions", _columns("game_sessions"), sums=("score",)),
)

LEFT_OUT: Mapping[str, str] = {
    "shard_info": "its pruned_before stands in the manifest; a restored shard is another incarnation",
    "bucket_owner": "stands in the manifest; a restore writes it with newer epochs",
    "bucket_handover": "refuses old claims of other shards, and a restore leaves no shard that could make one",
    "bucket_moves": "a backup is made between moves; where one was paused it is planned anew",
    "move_markers": "belong to moves under way",
    "serving_processes": "whoever serves says so again by itself",
    "shard_directory": "the addresses of the deployment that is restored into are its own; and it holds passwords",
}
