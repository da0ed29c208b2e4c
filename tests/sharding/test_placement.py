from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from domain.ids import USER_ID_MAX, USER_ID_MIN
from infra.local.cluster import LocalCluster
from sharding.placement import BUCKET_COUNT, bucket_of, deal_out
from tests.db.shards import connected


async def test_python_and_sql_agree_on_the_buckets_of_10000_ids(cluster: LocalCluster) -> None:
    random.seed(4096)
    edges = [USER_ID_MIN, USER_ID_MIN + 1, -1, 0, 1, USER_ID_MAX - 1, USER_ID_MAX]
    ids = edges + [random.randint(USER_ID_MIN, USER_ID_MAX) for _ in range(5_000)]
    ids += range(-2_500, 10_000 - len(ids) - 2_500)
    assert len(ids) == 10_000
    async with connected(cluster.shards[0].direct_url) as connection:
        rows = await connection.fetch(
            "select bucket_of(i) from unnest($1::bigint[]) with ordinality as t (i, ord) order by ord", ids
        )
    assert [row[0] for row in rows] == [bucket_of(user_id) for user_id in ids]


def test_buckets_never_change() -> None:
    """A player whose bucket came out otherwise would be lost with all sessions."""
    ids = [0, 1, 42, -1, USER_ID_MAX, USER_ID_MIN]
    assert [bucket_of(user_id) for user_id in ids] == [0x5FE, 0x6B8, 0x734, 0x1BA, 0xB34, 0x853]


@given(st.integers(USER_ID_MIN, USER_ID_MAX))
def test_every_id_has_a_bucket(user_id: int) -> None:
    assert 0 <= bucket_of(user_id) < BUCKET_COUNT


@given(st.integers(1, 200))
def test_new_shards_get_every_bucket_once_and_equally_many(shard_count: int) -> None:
    deal = deal_out(shard_count)
    assert len(deal) == shard_count
    assert [bucket for buckets in deal for bucket in buckets] == list(range(BUCKET_COUNT))
    sizes = {len(buckets) for buckets in deal}
    assert max(sizes) - min(sizes) <= 1
