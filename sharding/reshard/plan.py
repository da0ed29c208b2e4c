"""What has to move where: an operator's wish and the map become steps. Pure: no I/O.

A rebalance is found in rounds. `_choose` picks buckets that should leave, one at a time, the one that mends most
first. `_settle` deals them out again from scratch, the heaviest first, each to what is then the least loaded shard,
and only where that improves the balance. From this order follows what the plan promises: the least load only rises
and a shard's last arrival is its lightest, so at any later time a shard that got a bucket is ahead of the one that
gave it by less than the bucket's weight. No arrival ever has a reason to leave again, and taking back any move makes
the balance worse.

The idea of a planner whose every prefix is an improvement: Citus, src/backend/distributed/README.md. Heaviest first
to the least loaded: R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", 1969.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from itertools import groupby

from domain.errors import OperatorError
from sharding.placement import BUCKET_COUNT

# A step copies with one scan of the source's sessions, however many buckets it takes along: larger steps are faster in
# all. Smaller ones keep small what a failed step repeats and how much WAL its slot holds back at the source.
BUCKETS_A_STEP_MAX = 128

# How many of many wrong buckets an error names.
_NAMED_MAX = 5

_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Step:
    """One move: `buckets`, ascending and never empty, go together from the shard `source` to the shard `target`."""

    source: str
    target: str
    buckets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Move:
    bucket: int
    source: str
    target: str


def plan_rebalance(
    owners: Sequence[str],
    weights: Sequence[int],
    shards: Sequence[str],
    *,
    buckets_max: int = BUCKETS_A_STEP_MAX,
) -> list[Step]:
    """The steps after which no move of a single bucket would make the loads of the shards any more equal.

    The balance is measured as the sum of the squares of the loads. Every prefix of the plan improves it, so a run may
    stop after any step; the step that mends the worst imbalance comes first. A bucket moves at most once, and not at
    all if it weighs nothing. Among buckets of equal weight the fewest possible move. The plan of a balanced map, and
    of what a plan leads to, is empty; the same arguments always give the same plan.

    Args:
        owners: the name of the owner of each bucket, by bucket.
        weights: the load of each bucket, by bucket, in any one unit (buckets, players, bytes); not negative.
        shards: the names of all shards that share the load; a new one owns nothing yet.
        buckets_max: the most buckets a step may have.

    Raises:
        OperatorError: an owner is not one of `shards`, or `buckets_max` is less than 1.
    """
    _check_room(buckets_max)
    load = _load_by_name(owners, weights, shards)
    chosen: set[int] = set()
    while True:
        moves, settled = _settle(chosen, owners, weights, load)
        # The first that is chosen now was not chosen before, or `_settle` would have moved it: so each round adds to
        # the chosen, and the last finds nothing more.
        more = _choose(_movable(owners, weights, settled, moves), settled)
        if more <= chosen:
            break
        chosen |= more
    steps: list[Step] = []
    for run in _one_way(moves):
        steps += _steps(_few_pairs(run, weights), weights, load, buckets_max)
    return steps


def plan_drain(
    owners: Sequence[str],
    weights: Sequence[int],
    shards: Sequence[str],
    drained: str,
    *,
    buckets_max: int = BUCKETS_A_STEP_MAX,
) -> list[Step]:
    """The steps that empty one shard: heaviest first, each bucket goes to what is then the least loaded other shard.

    Between equal loads the shard with fewer buckets takes it, so that buckets without load are spread too. The source
    of every step is `drained`; a shard that owns nothing gives no steps.

    Args:
        owners: the name of the owner of each bucket, by bucket.
        weights: the load of each bucket, by bucket, in any one unit (buckets, players, bytes); not negative.
        shards: the names of all shards, `drained` included.
        drained: the name of the shard to empty.
        buckets_max: the most buckets a step may have.

    Raises:
        OperatorError: `drained` is not one of `shards` or the only one, an owner is not one of `shards`, or
            `buckets_max` is less than 1.
    """
    _check_room(buckets_max)
    _check_known(drained, shards)
    load = _load_by_name(owners, weights, shards)
    if len(load) == 1:
        raise OperatorError(f"{drained} is the only shard: add another one that can take its buckets first.")
    future = {shard: amount for shard, amount in load.items() if shard != drained}
    held = Counter(owners)
    leaving = [bucket for bucket, owner in enumerate(owners) if owner == drained]
    moves = []
    for bucket in sorted(leaving, key=lambda bucket: (-weights[bucket], bucket)):
        target = min(future, key=lambda shard: (future[shard], held[shard]))
        moves.append(_Move(bucket, drained, target))
        future[target] += weights[bucket]
        held[target] += 1
    return _steps(moves, weights, load, buckets_max)


def plan_move(
    owners: Sequence[str],
    buckets: Collection[int],
    target: str,
    shards: Sequence[str],
    *,
    buckets_max: int = BUCKETS_A_STEP_MAX,
) -> list[Step]:
    """The steps that bring exactly these buckets to `target`, whatever that does to the balance; by source.

    Args:
        owners: the name of the owner of each bucket, by bucket.
        buckets: what shall move, in any order.
        target: the name of the shard that shall own them.
        shards: the names of all shards.
        buckets_max: the most buckets a step may have.

    Raises:
        OperatorError: `target` or the owner of one of the buckets is not one of `shards`, a bucket does not exist or is
            the target's already, or `buckets_max` is less than 1.
    """
    _check_room(buckets_max)
    _check_known(target, shards)
    wished = sorted(set(buckets))
    unreal = [bucket for bucket in wished if not 0 <= bucket < BUCKET_COUNT]
    if unreal:
        raise OperatorError(f"There is no bucket {_first_few(unreal)}: buckets are 0 to {BUCKET_COUNT - 1}.")
    there = [bucket for bucket in wished if owners[bucket] == target]
    if there:
        raise OperatorError(
            f"The target is the source: {target} owns {len(there)} of these buckets already ({_first_few(there)}). "
            "Leave them out."
        )
    by_source: dict[str, list[int]] = {}
    for bucket in wished:
        by_source.setdefault(owners[bucket], []).append(bucket)
    for source in sorted(by_source):
        _check_known(source, shards)
    return [
        Step(source, target, chunk)
        for source, moving in sorted(by_source.items())
        for chunk in _chunks(moving, buckets_max)
    ]


def parse_buckets(text: str) -> list[int]:
    """The buckets that a text like `0-15,77,4000-4095` names: ascending, each once. Spaces around commas are allowed.

    Raises:
        OperatorError: a part is neither a bucket nor a range of buckets, or a range runs backwards.
    """
    buckets: set[int] = set()
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            raise OperatorError(
                f"{part.strip()!r} in {text!r} is neither a bucket nor a range of buckets; "
                "write them like 0-15,77,4000-4095."
            )
        low, high = int(found[1]), int(found[2] or found[1])
        if low > high:
            raise OperatorError(f"The range {found[0]} runs backwards; write {high}-{low}.")
        if high >= BUCKET_COUNT:
            raise OperatorError(f"{found[0]} is out of range: buckets are 0 to {BUCKET_COUNT - 1}.")
        buckets.update(range(low, high + 1))
    return sorted(buckets)


def loads(owners: Sequence[str], weights: Sequence[int], shards: Sequence[str]) -> dict[str, int]:
    """The load of each shard: the sum of the weights of its buckets, in their unit; in the order of `shards`.

    Args:
        owners: the name of the owner of each bucket, by bucket.
        weights: the load of each bucket, by bucket.
        shards: the names of the shards; one that owns nothing has load 0.

    Raises:
        OperatorError: an owner is not one of `shards`.
    """
    load = dict.fromkeys(shards, 0)
    for owner, weight in zip(owners, weights, strict=True):
        if owner not in load:
            raise OperatorError(
                f"{owner} owns {owners.count(owner)} buckets and is not among the shards that share the load "
                f"({', '.join(sorted(load))}): drain it first, or name it too."
            )
        load[owner] += weight
    return load


def _load_by_name(owners: Sequence[str], weights: Sequence[int], shards: Sequence[str]) -> dict[str, int]:
    """In the order of the names, which settles every tie below: `min` and `max` take the first, sorting is stable."""
    return dict(sorted(loads(owners, weights, shards).items()))


def _check_room(buckets_max: int) -> None:
    if buckets_max < 1:
        raise OperatorError(f"A step must have room for at least 1 bucket, not {buckets_max}.")


def _check_known(shard: str, shards: Iterable[str]) -> None:
    if shard not in shards:
        raise OperatorError(f"There is no shard {shard}; there are {', '.join(sorted(shards))}.")


def _first_few(buckets: Sequence[int]) -> str:
    named = ", ".join(map(str, buckets[:_NAMED_MAX]))
    return named if len(buckets) <= _NAMED_MAX else f"{named}, …"


def _movable(
    owners: Sequence[str], weights: Sequence[int], shards: Iterable[str], moves: Iterable[_Move]
) -> dict[str, list[tuple[int, int]]]:
    """The buckets of each shard that have a weight and have not moved, as (weight, bucket), the lightest first."""
    moved = {move.bucket for move in moves}
    movable: dict[str, list[tuple[int, int]]] = {shard: [] for shard in shards}
    for bucket, (owner, weight) in enumerate(zip(owners, weights, strict=True)):
        if weight > 0 and bucket not in moved:
            movable[owner].append((weight, bucket))
    for held in movable.values():
        held.sort()
    return movable


def _choose(movable: dict[str, list[tuple[int, int]]], load: dict[str, int]) -> set[int]:
    """What should leave its shard: from the most to the least loaded one, as long as that improves the balance.

    A shard that has nothing to give, say because one hot bucket is all its load, does not hold up the ones behind it.
    """
    load = dict(load)
    chosen: set[int] = set()
    while True:
        target = min(load, key=load.__getitem__)
        for source in sorted(load, key=load.__getitem__, reverse=True):
            index = _best(movable[source], load[source] - load[target])
            if index is not None:
                break
        else:
            return chosen
        weight, bucket = movable[source].pop(index)
        chosen.add(bucket)
        load[source] -= weight
        load[target] += weight


def _best(held: Sequence[tuple[int, int]], gap: int) -> int | None:
    """Where in `held` the bucket is that comes closest to closing a gap between two loads; None if each widens it.

    Best is what weighs half the gap; of two equally good ones the lighter, then the one with the lower number.
    """
    above = bisect_left(held, ((gap + 1) // 2, 0))
    if above > 0:
        below = bisect_left(held, (held[above - 1][0], 0))
        if above == len(held) or gap - 2 * held[below][0] <= 2 * held[above][0] - gap:
            return below
    return above if above < len(held) and held[above][0] < gap else None


def _settle(
    chosen: Iterable[int], owners: Sequence[str], weights: Sequence[int], load: dict[str, int]
) -> tuple[list[_Move], dict[str, int]]:
    """The chosen buckets' moves, the heaviest first, each an improvement when its turn comes; and the loads after.

    Of equal weights the one on the most loaded shard goes first: otherwise a shard could give a bucket and then watch
    another, as loaded as it is now, get one like it.
    """
    load = dict(load)
    moves = []
    heaviest_first = sorted(chosen, key=lambda bucket: (-weights[bucket], owners[bucket], bucket))
    for weight, alike in groupby(heaviest_first, key=lambda bucket: weights[bucket]):
        waiting = {source: deque(buckets) for source, buckets in groupby(alike, key=lambda bucket: owners[bucket])}
        while waiting:
            source = max(waiting, key=load.__getitem__)
            target = min(load, key=load.__getitem__)
            if load[source] - load[target] <= weight:
                break
            moves.append(_Move(waiting[source].popleft(), source, target))
            load[source] -= weight
            load[target] += weight
            if not waiting[source]:
                del waiting[source]
    return moves, load


def _one_way(moves: Iterable[_Move]) -> Iterator[list[_Move]]:
    """The moves cut into runs in which no shard both gives and takes.

    In such a run givers only come down and takers only go up, and at its end no taker is ahead of a giver by the weight
    of a bucket that moved. So each of its moves improves the balance in whatever order, and however many together.
    """
    run: list[_Move] = []
    givers: set[str] = set()
    takers: set[str] = set()
    for move in moves:
        if move.source in takers or move.target in givers:
            yield run
            run, givers, takers = [], set(), set()
        run.append(move)
        givers.add(move.source)
        takers.add(move.target)
    if run:
        yield run


def _few_pairs(run: Sequence[_Move], weights: Sequence[int]) -> Iterator[_Move]:
    """The same loads after the run, but buckets of equal weight swap targets so that a giver has few of them."""
    # Sizes side by side: a giver and a taker of equally many pair off, without a remainder for a step of its own.
    given = Counter(move.source for move in run)
    taken = Counter(move.target for move in run)
    for _, alike in groupby(run, key=lambda move: weights[move.bucket]):
        moves = sorted(alike, key=lambda move: (-given[move.source], move.source, move.bucket))
        targets = sorted((move.target for move in moves), key=lambda target: (-taken[target], target))
        for move, target in zip(moves, targets, strict=True):
            yield _Move(move.bucket, move.source, target)


def _steps(run: Iterable[_Move], weights: Sequence[int], load: dict[str, int], buckets_max: int) -> list[Step]:
    """The moves of a run as steps, the one that mends the worst imbalance first; `load` becomes what it is after them.

    No shard may both give and take in the run.
    """
    pairs: dict[tuple[str, str], list[int]] = {}
    for move in run:
        pairs.setdefault((move.source, move.target), []).append(move.bucket)
    waiting = {pair: deque(_chunks(sorted(buckets), buckets_max)) for pair, buckets in pairs.items()}
    worst_first = [(load[target] - load[source], source, target) for source, target in waiting]
    heapify(worst_first)
    steps = []
    while worst_first:
        gap, source, target = worst_first[0]
        # Other steps only ever narrow a gap in a run, so what is first and still true is the worst of all.
        if load[target] - load[source] == gap:
            step = Step(source, target, waiting[source, target].popleft())
            weight = sum(weights[bucket] for bucket in step.buckets)
            load[source] -= weight
            load[target] += weight
            steps.append(step)
        if waiting[source, target]:
            heapreplace(worst_first, (load[target] - load[source], source, target))
        else:
            heappop(worst_first)
    return steps


def _chunks(buckets: Sequence[int], buckets_max: int) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(buckets), buckets_max):
        yield tuple(buckets[start : start + buckets_max])
