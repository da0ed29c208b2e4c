"""The API keys, of which every shard keeps the whole list: there is no server of keys to lose."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from db.postgres import Postgres
from domain.access import scopes_of
from domain.keys import ApiKey

_READ = """
    select
        key_id, kind, label, secret_sha256, scopes, submissions_per_minute, reads_per_minute,
        created_at, expires_at, revoked_at
    from api_keys
    order by created_at, key_id
"""

# A key never changes but for its end, so that whatever order shards learn in, they come to know the same.
_WRITE = """
    insert into api_keys as k (
        key_id, kind, label, secret_sha256, scopes, submissions_per_minute, reads_per_minute,
        created_at, expires_at, revoked_at
    )
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict on constraint api_keys_pkey do update set revoked_at = least(k.revoked_at, excluded.revoked_at)
    where excluded.revoked_at is distinct from k.revoked_at
"""


async def read_api_keys(postgres: Postgres) -> list[ApiKey]:
    """Every key that one shard knows, the oldest first; none where it is of a schema before there were keys.

    Raises:
        Unavailable: the shard does not answer.
    """
    try:
        rows = await postgres.call(_READ)
    except asyncpg.UndefinedTableError:
        return []
    return [_key(row) for row in rows]


async def write_api_keys(postgres: Postgres, keys: Sequence[ApiKey]) -> None:
    """Tell one shard of keys; one that it knows as revoked stays revoked.

    Raises:
        Unavailable: the shard does not answer; some of the keys may have been written.
    """
    for key in keys:
        await postgres.call(
            _WRITE,
            key.id,
            key.kind,
            key.label,
            key.secret_sha256,
            sorted(key.scopes),
            key.submissions_per_minute,
            key.reads_per_minute,
            key.created_at,
            key.expires_at,
            key.revoked_at,
        )


def _key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        id=row["key_id"],
        kind=row["kind"],
        label=row["label"],
        secret_sha256=row["secret_sha256"],
        scopes=scopes_of(row["scopes"]),
        submissions_per_minute=row["submissions_per_minute"],
        reads_per_minute=row["reads_per_minute"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
