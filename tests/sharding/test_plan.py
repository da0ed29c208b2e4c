from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import OperatorError
from sharding.placement import BUCKET_COUNT, deal_out
from sharding.reshard.plan import Step, loads, parse_buckets, plan_drain, plan_move, plan_rebalance

ONES = [1] * BUCKET_COUNT


def named(count: int) -> list[str]:
    return [f"shard{number}" for number in range(1, count + 1)]


def dealt(shard_count: int) -> list[str]:
    return [shard for shard, dealt in zip(named(shard_count), deal_out(shard_count), strict=True) for _ in dealt]


def laid_out(held: dict[str, list[int]]) -> tuple[list[str], list[int]]:
    """Owners and weights where each shard holds buckets of these weights, in order from bucket 0; the rest weigh 0."""
    owners = [shard for shard, weights in held.items() for _ in weights]
    weights = [weight for weights in held.values() for weight in weights]
    rest = BUCKET_COUNT - len(owners)
    return owners + [next(iter(held))] * rest, weights + [0] * rest


def after(owners: Sequence[str], steps: Sequence[Step], buckets_max: int = 128) -> list[str]:
    """The owners after the steps; asserts what holds for every plan."""
    now = list(owners)
    moved: set[int] = set()
    for step in steps:
        assert step.source != step.target
        assert 1 <= len(step.buckets) <= buckets_max
        assert list(step.buckets) == sorted(set(step.buckets))
        assert moved.isdisjoint(step.buckets)
        assert {now[bucket] for bucket in step.buckets} == {step.source}
        for bucket in step.buckets:
            now[bucket] = step.target
        moved.update(step.buckets)
    return now


def balances(load: dict[str, int], weights: Sequence[int], steps: Sequence[Step]) -> list[int]:
    """The sum of the squares of the loads, before the first step and after each one."""
    load = dict(load)
    squares = [sum(amount**2 for amount in load.values())]
    for step in steps:
        weight = sum(weights[bucket] for bucket in step.buckets)
        load[step.source] -= weight
        load[step.target] += weight
        squares.append(sum(amount**2 for amount in load.values()))
    return squares


def assert_good_rebalance(
    owners: Sequence[str], weights: Sequence[int], shards: Sequence[str], buckets_max: int
) -> None:
    steps = plan_rebalance(owners, weights, shards, buckets_max=buckets_max)
    assert steps == plan_rebalance(owners, weights, shards[::-1], buckets_max=buckets_max)
    balance = balances(loads(owners, weights, shards), weights, steps)
    assert balance == sorted(set(balance), reverse=True), "a prefix does not improve the balance"
    end = after(owners, steps, buckets_max)
    load = loads(end, weights, shards)
    least, most = min(load.values()), max(load.values())
    for bucket, (was, now, weight) in enumerate(zip(owners, end, weights, strict=True)):
        if was != now:
            assert load[now] - load[was] < weight, f"taking back {bucket} would not be worse"
        if weight:
            assert load[now] - least <= weight, f"moving {bucket} too would be better"
    assert most - least <= max(weights)
    assert plan_rebalance(end, weights, shards) == []


# Few different weights, many, and some that are more than all others together.
any_weight = st.one_of(st.integers(0, 4), st.integers(0, 1000), st.integers(0, 20).map(lambda power: 2**power))
some_shards = st.lists(st.lists(any_weight, max_size=8), min_size=1, max_size=6)


@given(some_shards, st.sampled_from([1, 2, 3, 128]))
@settings(max_examples=300, deadline=None)
def test_a_rebalance_only_improves_and_leaves_nothing_to_improve(held: list[list[int]], buckets_max: int) -> None:
    shards = named(len(held))
    owners, weights = laid_out(dict(zip(shards, held, strict=True)))
    assert_good_rebalance(owners, weights, shards, buckets_max)


@given(st.integers(), st.integers(1, 16), st.integers(0, 16), st.sampled_from([1, 1.5, 3]))
@settings(max_examples=20, deadline=None)
def test_so_does_one_of_a_whole_map(seed: int, old: int, new: int, skew: float) -> None:
    random = Random(seed)
    shards = named(old + new)
    owners = [shards[int(old * random.random() ** skew)] for _ in range(BUCKET_COUNT)]
    weights = [int(100 / (1 - random.random()) ** skew) for _ in range(BUCKET_COUNT)]
    assert_good_rebalance(owners, weights, shards, 128)


@given(
    st.lists(st.integers(0, BUCKET_COUNT), min_size=1, max_size=8),
    st.integers(0, 8),
    st.integers(1, 3),
    st.integers(1, 500),
)
@settings(max_examples=50, deadline=None)
def test_of_equal_weights_the_fewest_possible_move(cuts: list[int], new: int, weight: int, buckets_max: int) -> None:
    bounds = [0, *sorted(cuts), BUCKET_COUNT]
    old = len(bounds) - 1
    shards = named(old + new)
    owners = [shards[i] for i in range(old) for _ in range(bounds[i], bounds[i + 1])]
    steps = plan_rebalance(owners, [weight] * BUCKET_COUNT, shards, buckets_max=buckets_max)
    end = Counter(after(owners, steps, buckets_max))
    fair, left_over = divmod(BUCKET_COUNT, len(shards))
    # Whoever has most may keep one more, as long as that comes out even.
    before = sorted((owners.count(shard) for shard in shards), reverse=True)
    surplus = sum(max(0, count - fair - (i < left_over)) for i, count in enumerate(before))
    assert sorted(end.values(), reverse=True) == [fair + 1] * left_over + [fair] * (len(shards) - left_over)
    assert sum(len(step.buckets) for step in steps) == surplus
    assert_good_rebalance(owners, [weight] * BUCKET_COUNT, shards, buckets_max)


def test_a_fifth_shard_gets_its_share_of_four() -> None:
    assert plan_rebalance(dealt(4), ONES, named(5)) == [
        Step("shard1", "shard5", tuple(range(128))),
        Step("shard2", "shard5", tuple(range(1024, 1152))),
        Step("shard3", "shard5", tuple(range(2048, 2176))),
        Step("shard4", "shard5", tuple(range(3072, 3200))),
        Step("shard1", "shard5", tuple(range(128, 205))),
        Step("shard2", "shard5", tuple(range(1152, 1229))),
        Step("shard3", "shard5", tuple(range(2176, 2253))),
        Step("shard4", "shard5", tuple(range(3200, 3276))),
    ]


def test_twice_the_shards_come_in_pairs() -> None:
    assert plan_rebalance(dealt(3), ONES, named(6), buckets_max=BUCKET_COUNT) == [
        Step("shard3", "shard4", tuple(range(2730, 3413))),
        Step("shard1", "shard5", tuple(range(682))),
        Step("shard2", "shard6", tuple(range(1365, 2047))),
    ]


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        # The one closest to half the gap, not the heaviest that still helps.
        ({"a": [5, 4, 3, 2], "b": []}, [Step("a", "b", (0, 3))]),
        # Of two that help equally the lighter, and of two that weigh the same the first.
        ({"a": [9, 1], "b": []}, [Step("a", "b", (1,))]),
        ({"a": [2, 2], "b": []}, [Step("a", "b", (0,))]),
        # A hot bucket stays where cold ones do as well, and goes where they do not.
        ({"a": [99, *[1] * 4], "b": [95]}, [Step("a", "b", (1, 2, 3, 4))]),
        ({"a": [99, *[1] * 4], "b": []}, [Step("a", "b", (0,))]),
        # What only swaps two loads does not move, nor does what weighs nothing.
        ({"a": [3, 5], "b": [5]}, []),
        ({"a": [0, 0, 0], "b": []}, []),
        # A shard with nothing but a hot bucket does not hold up the others.
        ({"a": [1000], "b": [1] * 6, "c": []}, [Step("b", "c", (1, 2, 3))]),
        # The worst imbalance comes first.
        (
            {"a": [4] * 10, "b": [3] * 10, "c": [1] * 10, "d": []},
            [Step("a", "d", (0, 1, 2, 3)), Step("b", "c", (11, 12)), Step("a", "c", (4,)), Step("b", "d", (10,))],
        ),
        # `b` first takes a boulder and then has pebbles to give.
        (
            {"a": [30, 30, 30], "b": [5] * 4, "c": [20]},
            [Step("a", "b", (0,)), Step("a", "c", (1,)), Step("b", "a", (3, 4))],
        ),
    ],
)
def test_what_moves(held: dict[str, list[int]], expected: list[Step]) -> None:
    owners, weights = laid_out(held)
    assert plan_rebalance(owners, weights, list(held)) == expected


@pytest.mark.parametrize("shard_count", [1, 2, 3, 64])
def test_a_new_deployment_is_balanced(shard_count: int) -> None:
    assert plan_rebalance(dealt(shard_count), ONES, named(shard_count)) == []


def test_64_shards_are_planned_quickly() -> None:
    random = Random(64)
    weights = [int(1000 / (1 - random.random())) for _ in range(BUCKET_COUNT)]
    began = time.process_time()
    assert plan_rebalance(dealt(48), weights, named(64)) != []
    assert time.process_time() - began < 2


def test_an_owner_that_shall_have_no_share_is_to_be_drained_first() -> None:
    message = (
        "shard4 owns 1024 buckets and is not among the shards that share the load (shard1, shard2, shard3): "
        "drain it first, or name it too."
    )
    plans: list[Callable[[], object]] = [
        lambda: plan_rebalance(dealt(4), ONES, named(3)),
        lambda: plan_drain(dealt(4), ONES, named(3), "shard1"),
        lambda: loads(dealt(4), ONES, named(3)),
    ]
    for plan in plans:
        with pytest.raises(OperatorError) as raised:
            plan()
        assert str(raised.value) == message


def test_a_step_needs_room() -> None:
    plans: list[Callable[[], object]] = [
        lambda: plan_rebalance(dealt(2), ONES, named(2), buckets_max=0),
        lambda: plan_drain(dealt(2), ONES, named(2), "shard1", buckets_max=0),
        lambda: plan_move(dealt(2), [0], "shard2", named(2), buckets_max=0),
    ]
    for plan in plans:
        with pytest.raises(OperatorError) as raised:
            plan()
        assert str(raised.value) == "A step must have room for at least 1 bucket, not 0."


@given(some_shards.filter(lambda held: len(held) > 1), st.data(), st.sampled_from([1, 3, 128]))
@settings(deadline=None)
def test_a_drained_shard_is_empty(held: list[list[int]], data: st.DataObject, buckets_max: int) -> None:
    shards = named(len(held))
    owners, weights = laid_out(dict(zip(shards, held, strict=True)))
    drained = data.draw(st.sampled_from(shards))
    steps = plan_drain(owners, weights, shards, drained, buckets_max=buckets_max)
    assert {step.source for step in steps} <= {drained}
    end = after(owners, steps, buckets_max)
    assert [(was, now) for was, now in zip(owners, end, strict=True) if was != drained and was != now] == []
    load = loads(end, weights, shards)
    assert drained not in end
    del load[drained]
    for shard, amount in load.items():
        arrived = [weight for was, now, weight in zip(owners, end, weights, strict=True) if was != now == shard]
        # The last and lightest that arrived came while this shard was the least loaded one.
        assert amount - min(filter(None, arrived), default=amount) <= min(load.values())


def test_what_is_drained_goes_to_the_least_loaded_and_the_heaviest_goes_first() -> None:
    owners, weights = laid_out({"b": [], "a": [2, 6, 3, 5], "c": [4]})
    owners[5:] = ["c"] * (BUCKET_COUNT - 5)
    # 6 to b (6, 4), 5 to c (6, 9), 3 to b (9, 9), and of equals to the one with fewer buckets.
    assert plan_drain(owners, weights, ["a", "b", "c"], "a") == [Step("a", "b", (0, 1, 2)), Step("a", "c", (3,))]


def test_buckets_without_load_are_spread_as_well() -> None:
    steps = plan_drain(dealt(4), [0] * BUCKET_COUNT, named(4), "shard2")
    assert Counter(after(dealt(4), steps)) == {"shard1": 1366, "shard3": 1365, "shard4": 1365}


def test_an_empty_shard_is_drained_already() -> None:
    assert plan_drain(dealt(2), ONES, named(3), "shard3") == []


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        (["shard2", "shard1"], "There is no shard shard9; there are shard1, shard2."),
        (["shard9"], "shard9 is the only shard: add another one that can take its buckets first."),
    ],
)
def test_what_cannot_be_drained(shards: list[str], message: str) -> None:
    with pytest.raises(OperatorError) as raised:
        plan_drain([shards[-1]] * BUCKET_COUNT, ONES, shards, "shard9")
    assert str(raised.value) == message


def test_a_wish_is_grouped_by_source() -> None:
    assert plan_move(dealt(4), [3000, 5, 1030, 4, 3, 1024, 4], "shard4", named(4), buckets_max=2) == [
        Step("shard1", "shard4", (3, 4)),
        Step("shard1", "shard4", (5,)),
        Step("shard2", "shard4", (1024, 1030)),
        Step("shard3", "shard4", (3000,)),
    ]
    assert plan_move(dealt(4), [], "shard4", named(4)) == []


@given(st.sets(st.integers(0, 3071)), st.integers(1, 200))
@settings(deadline=None)
def test_a_wish_moves_exactly_what_it_names(buckets: set[int], buckets_max: int) -> None:
    steps = plan_move(dealt(4), buckets, "shard4", named(4), buckets_max=buckets_max)
    end = after(dealt(4), steps, buckets_max)
    assert end == ["shard4" if bucket in buckets else owner for bucket, owner in enumerate(dealt(4))]


@pytest.mark.parametrize(
    ("buckets", "target", "message"),
    [
        ([1], "shard5", "There is no shard shard5; there are shard1, shard2, shard3, shard4."),
        ([3, 4096, -1], "shard1", "There is no bucket -1, 4096: buckets are 0 to 4095."),
        (
            [2000, 9, 8, 2000],
            "shard1",
            "The target is the source: shard1 owns 2 of these buckets already (8, 9). Leave them out.",
        ),
        (
            range(2000),
            "shard1",
            "The target is the source: shard1 owns 1024 of these buckets already (0, 1, 2, 3, 4, …). Leave them out.",
        ),
    ],
)
def test_a_wish_that_cannot_be(buckets: Sequence[int], target: str, message: str) -> None:
    with pytest.raises(OperatorError) as raised:
        plan_move(dealt(4), buckets, target, named(4))
    assert str(raised.value) == message


def test_a_wish_for_what_a_strange_shard_owns() -> None:
    with pytest.raises(OperatorError) as raised:
        plan_move(dealt(3), [4000], "shard1", named(2))
    assert str(raised.value) == "There is no shard shard3; there are shard1, shard2."


@pytest.mark.parametrize(
    ("text", "buckets"),
    [
        ("0-15,77,4000-4095", [*range(16), 77, *range(4000, 4096)]),
        ("7", [7]),
        (" 9 , 3-5,4,4-6", [3, 4, 5, 6, 9]),
        ("0-4095", list(range(BUCKET_COUNT))),
        ("12-12", [12]),
    ],
)
def test_buckets_as_text(text: str, buckets: list[int]) -> None:
    assert parse_buckets(text) == buckets


@given(st.sets(st.tuples(st.integers(0, 4095), st.integers(0, 4095)).map(sorted).map(tuple), min_size=1))
def test_any_ranges_are_their_buckets(ranges: set[tuple[int, int]]) -> None:
    text = ",".join(f"{low}-{high}" for low, high in ranges)
    assert parse_buckets(text) == sorted({bucket for low, high in ranges for bucket in range(low, high + 1)})


@pytest.mark.parametrize("part", ["", "-", "1-", "-1", "1-2-3", "0x10", "1.5", "١", "1 - 2", "a", "1;2", "9" * 5000])
def test_what_is_no_bucket(part: str) -> None:
    for text in (part, f"1,{part}", f"{part},1"):
        with pytest.raises(OperatorError) as raised:
            parse_buckets(text)
        assert str(raised.value) == (
            f"{part!r} in {text!r} is neither a bucket nor a range of buckets; write them like 0-15,77,4000-4095."
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,9-3", "The range 9-3 runs backwards; write 3-9."),
        ("4096", "4096 is out of range: buckets are 0 to 4095."),
        ("5,4000-4096", "4000-4096 is out of range: buckets are 0 to 4095."),
    ],
)
def test_ranges_that_do_not_exist(text: str, message: str) -> None:
    with pytest.raises(OperatorError) as raised:
        parse_buckets(text)
    assert str(raised.value) == message


def test_loads_are_sums_in_the_order_of_the_shards() -> None:
    owners, weights = laid_out({"b": [1, 2], "a": [10]})
    assert list(loads(owners, weights, ["c", "b", "a"]).items()) == [("c", 0), ("b", 3), ("a", 10)]
