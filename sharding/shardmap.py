"""Who owns which bucket, built from what the shards say themselves. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from domain.errors import MapError, Unavailable
from sharding.placement import BUCKET_COUNT, bucket_of


@dataclass(frozen=True, slots=True)
class Claim:
    """A shard's word that it owns a bucket since `epoch`."""

    bucket: int
    epoch: int


@dataclass(frozen=True, slots=True)
class ShardMap:
    """The owner of each bucket; None where it is a shard that did not answer when the map was built."""

    owners: tuple[str | None, ...]
    silent: frozenset[str]

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


def build_map(answers: Mapping[str, Iterable[Claim] | None]) -> ShardMap:
    """The map that the shards' claims add up to.

    Of two claims to one bucket the one with the higher epoch holds: its shard got the bucket later.

    Args:
        answers: the claims of each shard by its name; None for a shard that did not answer.

    Raises:
        MapError: two shards claim a bucket at the same epoch, or, where all answered, nobody claims one.
    """
    owners: list[str | None] = [None] * BUCKET_COUNT
    epochs = [-1] * BUCKET_COUNT
    disputed: dict[int, tuple[str, str]] = {}
    for shard, claims in sorted(answers.items()):
        for claim in claims or ():
            rival = owners[claim.bucket]
            if claim.epoch == epochs[claim.bucket] and rival is not None:
                disputed[claim.bucket] = (rival, shard)
            elif claim.epoch > epochs[claim.bucket]:
                owners[claim.bucket], epochs[claim.bucket] = shard, claim.epoch
                disputed.pop(claim.bucket, None)
    if disputed:
        bucket, (one, other) = min(disputed.items())
        raise MapError(
            f"{len(disputed)} bucket(s) have two owners at the same epoch, the first is {bucket}: {one} and {other}. "
            "No map is used until one of them lets go; see `shardboard shards list`."
        )
    silent = frozenset(shard for shard, claims in answers.items() if claims is None)
    holes = [bucket for bucket, owner in enumerate(owners) if owner is None]
    if holes and not silent:
        raise MapError(
            f"{len(holes)} of {BUCKET_COUNT} buckets have no owner, the first is {holes[0]}. "
            "Is a shard missing in SHARDBOARD_SHARDS, or was `shardboard migrate` never run?"
        )
    return ShardMap(tuple(owners), silent)
