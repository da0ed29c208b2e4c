"""Who owns which bucket, built from what the shards say themselves. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from db.ownership import Ownership
from domain.errors import MapError, Unavailable
from sharding.placement import BUCKET_COUNT, bucket_of


@dataclass(frozen=True)
class ShardMap:
    """The owner of each bucket.

    owners: by bucket; None where it is a shard that did not answer when the map was built. It may be a shard of which
        nothing but the name is known: somebody handed the bucket over to it.
    epochs: since which each owner owns the bucket; −1 where the owner is None.
    silent: the shards that did not answer.
    unclaimed: buckets with their epochs, by the shard that they were handed over to and that does not know it yet.
    """

    owners: tuple[str | None, ...]
    epochs: tuple[int, ...]
    silent: frozenset[str]
    unclaimed: Mapping[str, Mapping[int, int]]

    def owner_of(self, user_id: int) -> tuple[int, str]:
        """The bucket of a player and the name of the shard that owns it.

        Raises:
            Unavailable: the owner is a shard that does not answer.
        """
        bucket = bucket_of(user_id)
        owner = self.owners[bucket]
        if owner is None:
            raise Unavailable(
                f"The shard of player {user_id} does not answer (one of {', '.join(sorted(self.silent))}); "
                "try again with the same submissionId."
            )
        return bucket, owner

    @cached_property
    def owned(self) -> Mapping[str | None, Sequence[int]]:
        """The buckets of each owner in ascending order; under None those of shards that do not answer."""
        owned: dict[str | None, list[int]] = {}
        for bucket, owner in enumerate(self.owners):
            owned.setdefault(owner, []).append(bucket)
        return owned


def build_map(answers: Mapping[str, Ownership | None]) -> ShardMap:
    """The map that the shards' words add up to.

    Of two claims to one bucket the one with the higher epoch holds: its shard got the bucket later. That a shard handed
    a bucket over is a claim of the one that got it, whether that one knows already or not; so a bucket on its way is
    no hole.

    Args:
        answers: the word of each shard by its name; None for a shard that did not answer.

    Raises:
        MapError: two shards have a claim to a bucket at the same epoch, or, where all answered, nobody has one.
    """
    owners: list[str | None] = [None] * BUCKET_COUNT
    epochs = [-1] * BUCKET_COUNT
    disputed: dict[int, tuple[str, str]] = {}
    # All claims before the first testimony: what a testimony then wins is what nobody claims.
    for shard, word in sorted(answers.items()):
        for claim in word.owned if word else ():
            bucket, epoch = claim.bucket, claim.epoch
            rival = owners[bucket]
            if epoch > epochs[bucket]:
                owners[bucket], epochs[bucket] = shard, epoch
                disputed.pop(bucket, None)
            elif epoch == epochs[bucket] and rival is not None:
                disputed[bucket] = (rival, shard)
    attested: set[int] = set()
    for _, word in sorted(answers.items()):
        for handed in word.handed_over if word else ():
            bucket, epoch = handed.bucket, handed.epoch
            rival = owners[bucket]
            if epoch > epochs[bucket]:
                owners[bucket], epochs[bucket] = handed.target, epoch
                attested.add(bucket)
                disputed.pop(bucket, None)
            elif epoch == epochs[bucket] and rival is not None and rival != handed.target:
                disputed[bucket] = (rival, handed.target)
    if disputed:
        bucket, rivals = min(disputed.items())
        raise MapError(
            f"{len(disputed)} bucket(s) have two owners at the same epoch, the first is {bucket}: "
            f"{' and '.join(sorted(rivals))}. "
            "No map is used until one of them lets go; see `shardboard shards list`."
        )
    silent = frozenset(shard for shard, word in answers.items() if word is None)
    holes = [bucket for bucket, owner in enumerate(owners) if owner is None]
    if holes and not silent:
        raise MapError(
            f"{len(holes)} of {BUCKET_COUNT} buckets have no owner, the first is {holes[0]}. "
            "Is a shard missing in SHARDBOARD_SHARDS, or was `shardboard migrate` never run?"
        )
    unclaimed: dict[str, dict[int, int]] = {}
    for bucket in sorted(attested):
        target = owners[bucket]
        if target is not None and answers.get(target) is not None:
            unclaimed.setdefault(target, {})[bucket] = epochs[bucket]
    return ShardMap(tuple(owners), tuple(epochs), silent, unclaimed)
