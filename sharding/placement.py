"""Which bucket a player falls into, and how buckets are dealt out to new shards. Pure: no I/O."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

BUCKET_COUNT = 4096


def bucket_of(user_id: int) -> int:
    """The bucket of a player, 0 .. 4095: the first 12 bits of SHA-256 of the decimal user id.

    The SQL function `bucket_of` says the same; a test compares the two.
    """
    digest = sha256(b"%d" % user_id).digest()
    return digest[0] << 4 | digest[1] >> 4


def deal_out(shard_count: int) -> list[range]:
    """The buckets of each of `shard_count` new shards: contiguous, and equal to within one."""
    bounds = [BUCKET_COUNT * i // shard_count for i in range(shard_count + 1)]
    return [range(low, high) for low, high in pairwise(bounds)]
