from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import MapError, Unavailable
from sharding.placement import BUCKET_COUNT, bucket_of, deal_out
from sharding.shardmap import Claim, build_map

Answers = dict[str, list[Claim] | None]


def dealt(shard_count: int) -> Answers:
    return {
        f"shard{number}": [Claim(bucket, 1) for bucket in buckets]
        for number, buckets in enumerate(deal_out(shard_count), start=1)
    }


def test_a_new_deployment_is_its_deal() -> None:
    built = build_map(dealt(4))
    assert built.owners == tuple(f"shard{1 + bucket // 1024}" for bucket in range(BUCKET_COUNT))
    assert built.silent == frozenset()
    assert built.owner_of(1) == (0x6B8, "shard2")


@given(st.integers(1, 8), st.integers(0, BUCKET_COUNT - 1))
def test_a_hole_is_refused_where_all_have_answered(shard_count: int, bucket: int) -> None:
    answers = dealt(shard_count)
    for claims in answers.values():
        assert claims is not None
        claims[:] = [claim for claim in claims if claim.bucket != bucket]
    with pytest.raises(MapError) as raised:
        build_map(answers)
    assert str(raised.value).startswith(f"1 of 4096 buckets have no owner, the first is {bucket}. Is a shard missing")


def test_shards_without_any_bucket_are_told_to_migrate() -> None:
    with pytest.raises(MapError, match=r"4096 of 4096 buckets have no owner.*`shardboard migrate` never run"):
        build_map({"shard1": [], "shard2": []})


@given(st.integers(0, 1023), st.integers(1, 100))
def test_two_owners_at_one_epoch_are_refused(bucket: int, epoch: int) -> None:
    answers = dealt(4)
    for name in ("shard2", "shard4"):
        answers[name] = [*(answers[name] or []), Claim(bucket, epoch + 1)]
    with pytest.raises(MapError) as raised:
        build_map(answers)
    assert str(raised.value).startswith(
        f"1 bucket(s) have two owners at the same epoch, the first is {bucket}: shard2 and shard4."
    )


@given(st.integers(0, 1023), st.sampled_from(["shard2", "shard3", "shard4"]), st.integers(2, 2**62))
def test_of_two_claims_the_newer_holds(bucket: int, newer: str, epoch: int) -> None:
    answers = dealt(4)
    answers[newer] = [*(answers[newer] or []), Claim(bucket, epoch)]
    built = build_map(answers)
    assert built.owners[bucket] == newer
    assert [owner for b, owner in enumerate(built.owners) if b != bucket] == [
        f"shard{1 + b // 1024}" for b in range(BUCKET_COUNT) if b != bucket
    ]


def test_an_old_quarrel_is_settled_by_a_newer_claim() -> None:
    answers = dealt(4)
    for name, epoch in (("shard2", 1), ("shard3", 2)):
        answers[name] = [*(answers[name] or []), Claim(5, epoch)]
    assert build_map(answers).owners[5] == "shard3"


def test_what_a_silent_shard_may_own_is_nobodys_for_now() -> None:
    answers = dealt(4)
    answers["shard2"] = None
    built = build_map(answers)
    assert built.silent == {"shard2"}
    assert [built.owners.count(name) for name in ("shard1", None, "shard3", "shard4")] == [1024] * 4
    assert bucket_of(1) in deal_out(4)[1]
    with pytest.raises(Unavailable, match=r"The shard of player 1 does not answer \(one of shard2\)"):
        built.owner_of(1)


@given(
    st.lists(
        st.tuples(st.integers(0, BUCKET_COUNT - 1), st.integers(0, 3)),
        max_size=60,
    ),
    st.sets(st.integers(0, 3), max_size=2),
    st.randoms(),
)
def test_any_order_of_moves_and_answers_gives_the_last_owner(
    moves: list[tuple[int, int]], stale: set[int], random: object
) -> None:
    """Each move gives its bucket a new epoch; shards that did not notice what they lost still claim it."""
    names = [f"shard{number}" for number in range(1, 5)]
    claims = {name: {claim.bucket: claim for claim in held or []} for name, held in dealt(4).items()}
    owner = {claim.bucket: name for name, held in claims.items() for claim in held.values()}
    for epoch, (bucket, to) in enumerate(moves, start=2):
        if owner[bucket] != names[to] and names.index(owner[bucket]) not in stale:
            del claims[owner[bucket]][bucket]
        owner[bucket] = names[to]
        claims[names[to]][bucket] = Claim(bucket, epoch)
    shuffled = list(claims.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    built = build_map({name: list(held.values()) for name, held in shuffled})
    assert built.owners == tuple(owner[bucket] for bucket in range(BUCKET_COUNT))
