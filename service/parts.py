"""What the use cases work with."""

from __future__ import annotations

from dataclasses import dataclass

from domain.submission import IdWindow
from ranking.projection import Projection
from ranking.seen_ids import SeenIds
from ranking.signals import Signals
from ranking.store import Store
from service.access import Access
from service.observe_players import PlayerObserver
from service.sql_ranks import SqlRanks
from service.watches import Watches
from sharding.router import Router


@dataclass(frozen=True, slots=True)
class Parts:
    """The shards, the ranks, and the limits that use cases keep; one for each process, made by `app.parts`.

    deadline_s: how long one request may take in all.
    """

    router: Router
    store: Store
    projection: Projection
    seen_ids: SeenIds
    signals: Signals
    sql_ranks: SqlRanks
    watches: Watches
    id_window: IdWindow
    deadline_s: float
    access: Access
    players: PlayerObserver

    def board_version(self, board: str) -> int:
        """A number that grows, in this process, whenever the board changed here or elsewhere."""
        return self.signals.version(board)
