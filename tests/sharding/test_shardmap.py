from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.ownership import HandedOver, OwnedBucket, Ownership
from domain.errors import MapError, Unavailable
from sharding.placement import BUCKET_COUNT, bucket_of, deal_out
from sharding.shardmap import ShardMap, build_map

Claims = dict[str, list[OwnedBucket] | None]


def dealt(shard_count: int) -> Claims:
    return {
        f"shard{number}": [OwnedBucket(bucket, 1) for bucket in buckets]
        for number, buckets in enumerate(deal_out(shard_count), start=1)
    }


def mapped(claims: Claims, **handed_over: list[HandedOver]) -> ShardMap:
    """The map of claims, and of what shards say that they handed over."""
    return build_map(
        {name: None if owned is None else Ownership(owned, handed_over.get(name, [])) for name, owned in claims.items()}
    )


def test_a_new_deployment_is_its_deal() -> None:
    built = mapped(dealt(4))
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
        mapped(answers)
    assert str(raised.value).startswith(f"1 of 4096 buckets have no owner, the first is {bucket}. Is a shard missing")


def test_shards_without_any_bucket_are_told_to_migrate() -> None:
    with pytest.raises(MapError, match=r"4096 of 4096 buckets have no owner.*`shardboard migrate` never run"):
        mapped({"shard1": [], "shard2": []})


@given(st.integers(0, 1023), st.integers(1, 100))
def test_two_owners_at_one_epoch_are_refused(bucket: int, epoch: int) -> None:
    answers = dealt(4)
    for name in ("shard2", "shard4"):
        answers[name] = [*(answers[name] or []), OwnedBucket(bucket, epoch + 1)]
    with pytest.raises(MapError) as raised:
        mapped(answers)
    assert str(raised.value).startswith(
        f"1 bucket(s) have two owners at the same epoch, the first is {bucket}: shard2 and shard4."
    )


@given(st.integers(0, 1023), st.sampled_from(["shard2", "shard3", "shard4"]), st.integers(2, 2**62))
def test_of_two_claims_the_newer_holds(bucket: int, newer: str, epoch: int) -> None:
    answers = dealt(4)
    answers[newer] = [*(answers[newer] or []), OwnedBucket(bucket, epoch)]
    built = mapped(answers)
    assert built.owners[bucket] == newer
    assert [owner for b, owner in enumerate(built.owners) if b != bucket] == [
        f"shard{1 + b // 1024}" for b in range(BUCKET_COUNT) if b != bucket
    ]


def test_an_old_quarrel_is_settled_by_a_newer_claim() -> None:
    answers = dealt(4)
    for name, epoch in (("shard2", 1), ("shard3", 2)):
        answers[name] = [*(answers[name] or []), OwnedBucket(5, epoch)]
    assert mapped(answers).owners[5] == "shard3"


def test_what_a_silent_shard_may_own_is_nobodys_for_now() -> None:
    answers = dealt(4)
    answers["shard2"] = None
    built = mapped(answers)
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
        claims[names[to]][bucket] = OwnedBucket(bucket, epoch)
    shuffled = list(claims.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    built = mapped({name: list(held.values()) for name, held in shuffled})
    assert built.owners == tuple(owner[bucket] for bucket in range(BUCKET_COUNT))


def handed(*buckets: int, epoch: int, target: str) -> list[HandedOver]:
    return [HandedOver(bucket, epoch, target) for bucket in buckets]


def without(claims: Claims, *buckets: int) -> Claims:
    return {name: [c for c in owned if c.bucket not in buckets] for name, owned in claims.items() if owned is not None}


def test_a_bucket_on_its_way_is_its_targets_and_unclaimed() -> None:
    built = mapped(without(dealt(4), 5, 6), shard1=handed(5, 6, epoch=2, target="shard3"))
    assert (built.owners[5], built.epochs[5]) == (built.owners[6], built.epochs[6]) == ("shard3", 2)
    assert built.unclaimed == {"shard3": {5: 2, 6: 2}}
    assert built.owned["shard3"] == [5, 6, *range(2048, 3072)]


def test_a_handover_that_its_target_knows_of_is_nothing_new() -> None:
    claims = without(dealt(4), 5)
    claims["shard3"] = [*(claims["shard3"] or []), OwnedBucket(5, 2)]
    built = mapped(claims, shard1=handed(5, epoch=2, target="shard3"))
    assert (built.owners[5], built.unclaimed) == ("shard3", {})


def test_a_claim_that_is_older_than_a_handover_does_not_hold() -> None:
    """Answers are not of one moment: the source said it after it gave the bucket away, a third before it got it."""
    claims = without(dealt(4), 5)
    claims["shard4"] = [*(claims["shard4"] or []), OwnedBucket(5, 3)]
    built = mapped(claims, shard1=handed(5, epoch=2, target="shard3"), shard4=handed(5, epoch=4, target="shard2"))
    assert (built.owners[5], built.unclaimed) == ("shard2", {"shard2": {5: 4}})


def test_a_bucket_that_came_back_is_no_longer_its_targets() -> None:
    claims = without(dealt(4), 5)
    claims["shard1"] = [*(claims["shard1"] or []), OwnedBucket(5, 3)]
    built = mapped(claims, shard1=handed(5, epoch=2, target="shard3"), shard3=handed(5, epoch=3, target="shard1"))
    assert (built.owners[5], built.unclaimed) == ("shard1", {})


def test_who_is_not_known_yet_may_own_a_bucket() -> None:
    built = mapped(without(dealt(4), 5), shard1=handed(5, epoch=2, target="shard9"))
    assert (built.owners[5], built.silent, built.unclaimed) == ("shard9", frozenset(), {})


def test_a_target_that_does_not_answer_is_not_told() -> None:
    claims = without(dealt(4), 5)
    claims["shard3"] = None
    built = mapped(claims, shard1=handed(5, epoch=2, target="shard3"))
    assert (built.owners[5], built.unclaimed) == ("shard3", {})
    assert built.owned[None] == list(range(2048, 3072))


@pytest.mark.parametrize(
    "testimonies",
    [
        {"shard1": handed(5, epoch=2, target="shard3"), "shard4": handed(5, epoch=2, target="shard2")},
        {"shard4": handed(5, epoch=3, target="shard2")},
    ],
)
def test_testimonies_can_quarrel_too(testimonies: dict[str, list[HandedOver]]) -> None:
    claims = without(dealt(4), 5)
    claims["shard3"] = [*(claims["shard3"] or []), OwnedBucket(5, 3)] if len(testimonies) == 1 else claims["shard3"]
    with pytest.raises(MapError, match="the first is 5: shard2 and shard3"):
        mapped(claims, **testimonies)


class Model:
    """Shards as their tables are, and who owns what in truth."""

    def __init__(self) -> None:
        self.truth = {b: (f"shard{1 + b // 1024}", 1) for b in range(BUCKET_COUNT)}
        self.owned: dict[str, dict[int, int]] = {f"shard{n}": {} for n in range(1, 5)}
        self.handed: dict[str, dict[int, tuple[int, str]]] = {name: {} for name in self.owned}
        for bucket, (name, epoch) in self.truth.items():
            self.owned[name][bucket] = epoch

    def release(self, bucket: int, target: str) -> None:
        source, epoch = self.truth[bucket]
        if source != target and bucket in self.owned[source]:
            del self.owned[source][bucket]
            self.handed[source][bucket] = (epoch + 1, target)
            self.truth[bucket] = (target, epoch + 1)

    def claim(self, bucket: int) -> None:
        target, epoch = self.truth[bucket]
        if self.handed[target].get(bucket, (0, ""))[0] < epoch:
            self.owned[target].setdefault(bucket, epoch)

    def word(self, name: str) -> Ownership:
        return Ownership(
            [OwnedBucket(b, epoch) for b, epoch in self.owned[name].items()],
            [HandedOver(b, epoch, target) for b, (epoch, target) in self.handed[name].items()],
        )


STEPS = st.lists(
    st.tuples(st.sampled_from(["release", "claim", "hear"]), st.integers(0, 5), st.integers(1, 4)), max_size=60
)


@given(STEPS, st.sets(st.integers(1, 4)))
def test_any_course_of_releases_and_claims_gives_the_owners_in_truth(
    steps: list[tuple[str, int, int]], silent: set[int]
) -> None:
    """Shards that do not answer are taken at what they said some time before, or have never said anything."""
    model = Model()
    heard: dict[str, Ownership | None] = {f"shard{n}": None for n in silent}
    for what, bucket, number in steps:
        if what == "release":
            model.release(bucket, f"shard{number}")
        elif what == "claim":
            model.claim(bucket)
        elif number in silent:
            heard[f"shard{number}"] = model.word(f"shard{number}")
    built = build_map({name: heard.get(name) if name in heard else model.word(name) for name in model.owned})
    for bucket, (owner, epoch) in model.truth.items():
        found = built.owners[bucket]
        if bucket in model.owned[owner]:
            # Its owner says so itself, unless it is one that does not answer.
            witnesses = {owner}
        else:
            witnesses = {name for name, given_ in model.handed.items() if given_.get(bucket) == (epoch, owner)}
        if witnesses - heard.keys():
            assert (found, built.epochs[bucket]) == (owner, epoch)
        else:
            assert built.epochs[bucket] <= epoch
        is_told = bucket in built.unclaimed.get(owner, {})
        if owner not in heard and witnesses - heard.keys():
            assert is_told == (bucket not in model.owned[owner])
    if not silent:
        assert built.silent == frozenset()
        assert {b for buckets in built.unclaimed.values() for b in buckets} == {
            b for b, (owner, _) in model.truth.items() if b not in model.owned[owner]
        }
