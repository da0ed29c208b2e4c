"""Which shards there are and who owns what, as they say themselves: asked again whenever that may have changed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from db.directory import DirectoryEntry, read_directory_as_service
from db.ownership import Ownership, claim_buckets, read_ownership
from db.postgres import Postgres
from domain.coalescer import Gate
from domain.errors import MapError, NoTables, OperatorError, ShardboardError, Unavailable
from domain.resilience.deadline import detached
from domain.resilience.limits import MAP_ASK_S_MAX, MAP_INTERVAL_S
from domain.tasks import end_tasks
from sharding.known_shards import newest_entries, present_shards
from sharding.recent_writes import RecentWrites
from sharding.shard import Shard, WriteLimits
from sharding.shardmap import ShardMap, build_map

logger = logging.getLogger(__name__)

# Of so many shards one is flushed at a time, where the limits do not say otherwise.
_SHARDS_A_FLUSH = 4
# A flush that takes longer than this does not keep other shards' from starting.
_FLUSH_LEASE_S = 0.02


@dataclass(frozen=True, slots=True)
class _Word:
    """What a shard says: what it owns and gave away, and where all shards are."""

    ownership: Ownership
    directory: Sequence[DirectoryEntry]


class Members:
    """All shards that there are now, and the map of who owns what.

    `shards` are by name, those of the settings first. It is replaced when one comes or goes, never changed.

    Args:
        seeds: the shards of the settings; the others are found through them.
        connect: makes the Postgres of a shard's name and address; connected when first used.
        connect_replica: does the same for a replica's; `connect` where not given.
        replica_lag_s_max: how far a replica may be behind that answers reads.
    """

    def __init__(
        self,
        seeds: Sequence[DirectoryEntry],
        connect: Callable[[str, str], Postgres],
        limits: WriteLimits | None = None,
        *,
        connect_replica: Callable[[str, str], Postgres] | None = None,
        replica_lag_s_max: float = 0.0,
    ) -> None:
        self._seeds = seeds
        self._connect = connect
        self._limits = limits or WriteLimits()
        self._connect_replica = connect_replica or connect
        self._replica_lag_s_max = replica_lag_s_max
        self._writes = RecentWrites(replica_lag_s_max)
        self._gate = Gate(self._gate_width(len(seeds)), _FLUSH_LEASE_S)
        self._directory: dict[str, DirectoryEntry] = {}
        self.shards: Mapping[str, Shard] = {seed.name: self._make_shard(seed) for seed in seeds}
        self._words: dict[str, Ownership] = {}
        self._map: ShardMap | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = float("-inf")
        self._watchers: list[Callable[[], None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._complaints: dict[str, str] = {}

    async def open(self) -> None:
        """Find the shards and build the first map; shards that do not answer are filled in when they do.

        Raises:
            MapError: the shards' answers make no valid map.
            OperatorError: a shard is not migrated, or an address leads to another shard. One that only a directory
                names is left out instead, unless it owns something.
        """
        await self.refresh()

    async def keep_fresh(self, interval_s: float) -> None:
        """Refresh for ever, so that a process without traffic learns of new shards, too."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.refresh()
            except ShardboardError as error:
                self._complain("the map", str(error))
            except Exception:
                logger.exception("the shards were not asked; they are asked again")

    async def close(self) -> None:
        """Answer what was accepted, then close every connection."""
        if self._refreshing is not None:
            await end_tasks([self._refreshing])
        await asyncio.gather(*(shard.close() for shard in self.shards.values()), *self._closing)

    def watch_shards(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever `shards` was replaced, until the function that is returned is called."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    @property
    def map(self) -> ShardMap:
        """Who owns what, as far as this process knows.

        Raises:
            OperatorError: the router was not opened.
        """
        if self._map is None:
            raise OperatorError("The router was not opened.")
        return self._map

    async def locate(self, user_id: int) -> tuple[int, Shard]:
        """The bucket of a player and the shard that owns it.

        Raises:
            Unavailable: the owner is not known, because a shard does not answer.
        """
        try:
            return self._locate_now(user_id)
        except Unavailable:
            if not self._may_ask_again:
                raise
            await self.refresh()
            return self._locate_now(user_id)

    async def locate_all(self) -> list[tuple[Shard, Sequence[int]]]:
        """Every shard that owns buckets, with its buckets in ascending order: all buckets there are.

        Raises:
            Unavailable: an owner is not known, because a shard does not answer.
        """
        try:
            return self._locate_all_now()
        except Unavailable:
            if not self._may_ask_again:
                raise
            await self.refresh()
            return self._locate_all_now()

    def owned(self) -> dict[str, int]:
        """How many buckets each shard owns, as far as this process knows."""
        return {name: len(self.map.owned.get(name, ())) for name in self.shards}

    async def refresh(self) -> None:
        """Ask every shard what it owns and which shards there are, and build the map anew.

        Concurrent callers share one round of questions. Shards that are new are asked, too; those that were removed are
        closed. A shard that was given buckets and does not know it yet is told: its mover may be dead.

        A shard that does not answer is taken at its last word: what it gave away since then, its new owner claims
        with a higher epoch.

        Raises:
            MapError: the answers make no valid map, and there is none yet.
            OperatorError: as for `open`, where there is no map yet.
        """
        if self._refreshing is None:
            self._refreshing = detached(self._refresh())
            self._refreshing.add_done_callback(self._refreshed)
        await asyncio.shield(self._refreshing)

    def _refreshed(self, _: asyncio.Task[None]) -> None:
        self._refreshing = None
        self._refreshed_at = time.monotonic()

    @property
    def _may_ask_again(self) -> bool:
        return time.monotonic() >= self._refreshed_at + MAP_INTERVAL_S

    async def _refresh(self) -> None:
        asked: dict[Shard, _Word | OperatorError | None] = {}
        shards = self.shards
        directory = self._directory
        try:
            while new := [shard for shard in shards.values() if shard not in asked]:
                words = await asyncio.gather(*(self._ask(shard) for shard in new))
                asked |= zip(new, words, strict=True)
                told = (entry for word in words if isinstance(word, _Word) for entry in word.directory)
                directory = newest_entries([*directory.values(), *told])
                shards = self._reach(directory, shards)
        except BaseException:
            self._retire(shard for shard in {*asked, *shards.values()} if shard not in self.shards.values())
            raise
        words_now = {shard.name: word for shard, word in asked.items() if shards.get(shard.name) is shard}
        self._directory = directory
        self._words = {name: word for name, word in self._words.items() if name in shards} | {
            name: word.ownership for name, word in words_now.items() if isinstance(word, _Word)
        }
        self._take(shards, words_now, asked)
        await self._roll_forward({name for name, word in words_now.items() if isinstance(word, _Word)})

    def _take(
        self,
        shards: Mapping[str, Shard],
        words: Mapping[str, _Word | OperatorError | None],
        opened: Iterable[Shard],
    ) -> None:
        """Use these shards and the map that their words make from now on.

        Raises:
            MapError, OperatorError: there is no map, and these make none.
        """
        seeds = {seed.name for seed in self._seeds}
        refusals = {name: word for name, word in words.items() if isinstance(word, OperatorError)}
        # Of a shard that is none nothing can be expected, nor that it owns what nobody else does.
        kept = {name: shard for name, shard in shards.items() if name in seeds or name not in refusals}
        trouble: OperatorError | None = None
        stays = ""
        try:
            built = build_map({name: self._words.get(name) for name in kept})
            trouble = next((error for name, error in refusals.items() if name in seeds or name in built.owned), None)
        except MapError as error:
            # Where a shard of the settings is none, that is what the operator has to mend first.
            trouble = next((refusals[name] for name in refusals if name in seeds), error)
            stays = " The last valid map stays in use."
        else:
            if trouble is None or self._map is not None:
                self._map = built
        if kept != self.shards:
            old, self.shards = self.shards, kept
            self._gate.set_width(self._gate_width(len(kept)))
            for watcher in list(self._watchers):
                watcher()
        else:
            old = {}
        self._retire(shard for shard in {*opened, *old.values()} if kept.get(shard.name) is not shard)
        for name, refusal in refusals.items():
            self._complain(f"shard {name}", str(refusal))
        if trouble is None:
            self._complaints.pop("the map", None)
        elif self._map is None:
            raise trouble
        else:
            self._complain("the map", f"{trouble}{stays}")

    def _reach(self, directory: Mapping[str, DirectoryEntry], shards: Mapping[str, Shard]) -> dict[str, Shard]:
        """A `Shard` for each that there is; the same as before where its address is."""
        reached: dict[str, Shard] = {}
        for entry in present_shards(self._seeds, directory):
            shard = shards.get(entry.name)
            stays = shard and (shard.url, shard.replica_urls) == (entry.url, entry.replicas)
            reached[entry.name] = shard if shard and stays else self._make_shard(entry)
        return reached

    def _make_shard(self, entry: DirectoryEntry) -> Shard:
        # Before the first look at a replica: what was written until then, any that is used then holds.
        self._writes.is_needed = self._writes.is_needed or bool(entry.replicas)
        return Shard(
            entry,
            self._connect(entry.name, entry.url),
            self._limits,
            self._gate,
            replicas=[self._connect_replica(entry.name, url) for url in entry.replicas],
            lag_s_max=self._replica_lag_s_max,
            writes=self._writes,
        )

    def _gate_width(self, shard_count: int) -> int:
        return self._limits.flushes_at_once or max(1, -(-shard_count // _SHARDS_A_FLUSH))

    def _retire(self, shards: Iterable[Shard]) -> None:
        """Close shards that are no longer used, in the background."""
        for shard in shards:
            task = asyncio.create_task(shard.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _ask(self, shard: Shard) -> _Word | OperatorError | None:
        """The word of one shard; None where it does not answer, an error where what answers is none of ours."""
        try:
            # The first question of all waits as long as any other statement: there is no last word to take it at.
            async with asyncio.timeout(None if self._map is None else MAP_ASK_S_MAX):
                ownership, directory = await asyncio.gather(
                    read_ownership(shard.postgres), read_directory_as_service(shard.postgres)
                )
        except asyncpg.UndefinedTableError:
            return NoTables(shard.name)
        except OperatorError as error:
            return error
        except (Unavailable, TimeoutError, asyncpg.PostgresError) as error:
            self._complain(f"shard {shard.name}", f"it does not say what it owns: {(error.__cause__ or error)!r}")
            return None
        self._complaints.pop(f"shard {shard.name}", None)
        return _Word(ownership, directory)

    async def _roll_forward(self, answering: set[str]) -> None:
        """Let shards know what they were given. The giver made sure before that they have all of it."""
        unclaimed = self.map.unclaimed
        await asyncio.gather(*(self._claim(name, unclaimed[name]) for name in answering if name in unclaimed))

    async def _claim(self, name: str, epochs: Mapping[int, int]) -> None:
        shard = self.shards.get(name)
        if shard is None:
            return
        try:
            async with asyncio.timeout(MAP_ASK_S_MAX):
                await claim_buckets(shard.postgres, epochs)
        except (ShardboardError, asyncpg.PostgresError, TimeoutError) as error:
            logger.warning("shard %s was not told that it was given %d bucket(s): %r", name, len(epochs), error)
        else:
            logger.info("shard %s was told that it was given %d bucket(s)", name, len(epochs))

    def _locate_now(self, user_id: int) -> tuple[int, Shard]:
        bucket, name = self.map.owner_of(user_id)
        shard = self.shards.get(name)
        if shard is None:
            raise Unavailable(
                f"The shard of player {user_id} ({name}) is not known here yet; try again with the same submissionId."
            )
        return bucket, shard

    def _locate_all_now(self) -> list[tuple[Shard, Sequence[int]]]:
        located: list[tuple[Shard, Sequence[int]]] = []
        for name, buckets in self.map.owned.items():
            shard = None if name is None else self.shards.get(name)
            if shard is None:
                missing = name or f"one of {', '.join(sorted(self.map.silent))}"
                raise Unavailable(f"A shard with players does not answer ({missing}); try again shortly.")
            located.append((shard, buckets))
        return located

    def _complain(self, subject: str, message: str) -> None:
        """Log a trouble once, not at every refresh."""
        if self._complaints.get(subject) != message:
            self._complaints[subject] = message
            logger.warning("%s: %s", subject, message)
