"""Record the sessions of another system: everything that is good goes in, once, however often it is tried."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from uuid import UUID

from db.partitions import Month, make_partitions, read_pruned_before
from db.players import show_name
from db.postgres import Postgres
from db.scores import Outcomes, find_sessions
from domain.errors import ShardboardError, Unavailable
from ranking.store import RanksUnavailable
from service.imported_rows import ImportRow, RowChecker
from service.parts import Parts
from service.renew_ranks import Progress, bring_ranks_up, no_progress
from service.session_files import BadRow, RawRow
from sharding.shard import Shard
from sharding.writer import record_each

# Rows that are dealt out to the shards at a time, and rows of one statement.
_SLICE_ROWS = 8_000
_BATCH_ROWS = 1_000
_BATCH_TIMEOUT_S = 60.0
# How often rows follow a bucket that is being moved, and how long they rest in between.
_FOLLOWS_MAX = 40
_FOLLOW_REST_S = 0.1

_USED = "submission_id was used before with other content; another session needs an id of its own"


@dataclass(slots=True)
class Imported:
    """How many rows were new, how many were there already, and how many could not come in."""

    recorded: int = 0
    duplicates: int = 0
    bad: int = 0


@dataclass(slots=True)
class _Months:
    """What is known of one shard's partitions: those that are there, and from when on there may be any."""

    ready: set[Month] = field(default_factory=set)
    pruned_before: datetime | None = None


class ImportStopped(Unavailable):
    """A part stopped answering; what was counted until then is in, and the same file again counts once."""


async def import_sessions(
    parts: Parts,
    rows: Iterable[RawRow | BadRow],
    *,
    report: Callable[[BadRow], None],
    progress: Progress = no_progress,
) -> Imported:
    """Record the rows of a file on the shards of their players, then bring the ranks up to them.

    Args:
        rows: read as they are needed.
        report: told of each row that cannot come in, in no strict order.
        progress: told the number of rows done.

    Raises:
        ImportStopped: a shard or Redis stopped answering.
        OperatorError: it is no such file at all.
    """
    imported = Imported()
    task = _Import(parts, imported, report)
    checker = RowChecker(parts.id_window)
    iterator = iter(rows)
    done = 0
    try:
        while slice_ := list(islice(iterator, _SLICE_ROWS)):
            good = []
            for raw in slice_:
                row = raw if isinstance(raw, BadRow) else checker.check(raw)
                if isinstance(row, BadRow):
                    task.refuse(row.line, row.reason)
                else:
                    good.append(row)
            await task.record(good)
            done += len(slice_)
            progress(done)
        await bring_ranks_up(parts)
    except Unavailable as error:
        raise ImportStopped(f"{error} Until then {imported.recorded} sessions came in: run it again.") from error
    return imported


class _Import:
    """One run: its counts, and what it knows of each shard's partitions."""

    def __init__(self, parts: Parts, imported: Imported, report: Callable[[BadRow], None]) -> None:
        self._parts = parts
        self._imported = imported
        self._report = report
        self._months: defaultdict[str, _Months] = defaultdict(_Months)

    def refuse(self, line: int, reason: str) -> None:
        """Count a row as bad and say why."""
        self._imported.bad += 1
        self._report(BadRow(line, reason))

    async def record(self, rows: Sequence[ImportRow]) -> None:
        """Record rows, and follow those whose bucket is being moved.

        Raises:
            Unavailable: a shard does not answer, or a bucket kept moving for too long.
        """
        waiting = await self._without_used_ids(rows)
        for _ in range(_FOLLOWS_MAX):
            groups: dict[Shard, list[tuple[int, ImportRow]]] = {}
            for row in waiting:
                bucket, shard = await self._parts.router.locate(row.submission.user_id)
                groups.setdefault(shard, []).append((bucket, row))
            left = await asyncio.gather(*(self._record_on(shard, group) for shard, group in groups.items()))
            waiting = [row for rows_left in left for row in rows_left]
            if not waiting:
                return
            await self._parts.router.refresh()
            await asyncio.sleep(_FOLLOW_REST_S)
        raise Unavailable("Players' data kept being moved between shards.")

    async def _without_used_ids(self, rows: Sequence[ImportRow]) -> list[ImportRow]:
        """The rows whose ids belong to no other player's session; a player's own shard tells of the player's own."""
        given = [row.submission.id for row in rows if row.submission.id_given]
        owners: dict[UUID, int] = {}
        if given:
            find = partial(find_sessions, ids=given, timeout_s=_BATCH_TIMEOUT_S)
            for found in await self._parts.router.scatter(find):
                owners |= found
        kept = []
        for row in rows:
            if owners.setdefault(row.submission.id, row.submission.user_id) == row.submission.user_id:
                kept.append(row)
            else:
                self.refuse(row.line, _USED)
        # So that a client which uses one of these ids for another player is told, too. It is not what makes ids count
        # once, so a Redis that is away does not stop an import.
        oldest = datetime.now(UTC) - self._parts.id_window.back
        with suppress(RanksUnavailable):
            await asyncio.gather(
                *(self._parts.seen_ids.maybe_seen(row.submission.id) for row in kept if row.played_at >= oldest)
            )
        return kept

    async def _record_on(self, shard: Shard, placed: list[tuple[int, ImportRow]]) -> list[ImportRow]:
        """Record rows on one shard; gives those that it does not own (any more)."""
        months = await self._make_months(shard.postgres, {Month.of(row.played_at) for _, row in placed})
        accepted = []
        for bucket, row in placed:
            if months.pruned_before is not None and row.played_at < months.pruned_before:
                self.refuse(
                    row.line,
                    f"it was played on {row.played_at:%Y-%m-%d}, and sessions before {months.pruned_before:%Y-%m-%d} "
                    "were pruned: whether it was counted before cannot be told",
                )
            else:
                accepted.append((bucket, row))
        # In order of time, one batch after the other: a player is shown under the name of the newest session.
        accepted.sort(key=lambda each: each[1].submission.id.int >> 80)
        left = []
        for start in range(0, len(accepted), _BATCH_ROWS):
            batch = accepted[start : start + _BATCH_ROWS]
            results = await record_each(
                shard.postgres,
                [(bucket, row.submission) for bucket, row in batch],
                rename=False,
                timeout_s=_BATCH_TIMEOUT_S,
            )
            for (bucket, row), result in zip(batch, results, strict=True):
                if self._count(row, result):
                    if row.shown_username is not None:
                        await show_name(
                            shard.postgres, bucket, row.submission.user_id, row.played_at, row.shown_username
                        )
                else:
                    left.append(row)
        return left

    def _count(self, row: ImportRow, result: Outcomes | Exception) -> bool:
        """Count what became of a row; False where it has to be tried again."""
        if isinstance(result, ShardboardError):
            self.refuse(row.line, str(result).removeprefix("input."))
        elif isinstance(result, Exception):
            raise result
        elif result.outcome in ("moved", "frozen"):
            return False
        elif result.outcome == "recorded":
            self._imported.recorded += 1
        elif result.outcome == "duplicate" or not row.submission.id_given:
            # An id that was derived from all but the name is in use: the same session under another name.
            self._imported.duplicates += 1
        else:
            self.refuse(row.line, _USED)
        return True

    async def _make_months(self, postgres: Postgres, wanted: set[Month]) -> _Months:
        """Make the missing months, but none that was pruned."""
        months = self._months[postgres.name]
        if not wanted <= months.ready:
            async with postgres.write() as connection:
                months.pruned_before = await read_pruned_before(connection)
                await make_partitions(
                    connection,
                    (
                        month
                        for month in wanted
                        if months.pruned_before is None or month.plus(1).start > months.pruned_before
                    ),
                )
            months.ready |= wanted
        return months
