"""Make, list and revoke API keys."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from db.api_keys import read_api_keys, write_api_keys
from db.postgres import Postgres
from domain.access import Scope
from domain.errors import OperatorError, ShardboardError
from domain.keys import (
    KEY_PER_MINUTE_MAX,
    LABEL_LENGTH_MAX,
    ApiKey,
    KeyKind,
    hash_key,
    make_key_text,
    merge_keys,
)
from sharding.reshard.fleet import Fleet


async def make_key(
    fleet: Fleet,
    kind: KeyKind,
    label: str,
    *,
    scopes: frozenset[Scope],
    expires_at: datetime | None = None,
    submissions_per_minute: int = 0,
    reads_per_minute: int = 0,
) -> tuple[ApiKey, str]:
    """A new key, known to every shard, and its text: the only time that it is seen.

    Args:
        label: what it is for, in the operator's words.
        submissions_per_minute, reads_per_minute: over all processes; 0 for no limit.

    Raises:
        OperatorError: one of these cannot be; nothing was made.
        Unavailable: a shard does not answer; the key is worth nothing then, make another one later.
    """
    now = datetime.now(UTC)
    if not label.strip() or len(label) > LABEL_LENGTH_MAX or not label.isprintable():
        raise OperatorError(f"A label has 1 to {LABEL_LENGTH_MAX} printable characters. No key was made.")
    if not scopes:
        raise OperatorError("A key without any scope is good for nothing. No key was made.")
    if Scope.ADMIN in scopes and kind != "admin":
        raise OperatorError("The scope `admin` is for admin keys. No key was made.")
    if expires_at is not None and expires_at <= now:
        raise OperatorError(f"The key would have expired already, at {expires_at:%Y-%m-%d %H:%M} UTC. No key was made.")
    for per_minute in (submissions_per_minute, reads_per_minute):
        if not 0 <= per_minute <= KEY_PER_MINUTE_MAX:
            raise OperatorError(f"A limit is 0 (none) to {KEY_PER_MINUTE_MAX} a minute. No key was made.")
    # All known keys with it: a shard that was away or is new gets to know them on this occasion.
    known = await list_keys(fleet)
    key_id, text = make_key_text(kind)
    key = ApiKey(key_id, kind, label, hash_key(text), scopes, submissions_per_minute, reads_per_minute, now, expires_at)
    await fleet.ask(lambda postgres: write_api_keys(postgres, [*known, key]))
    return key, text


async def list_keys(fleet: Fleet) -> list[ApiKey]:
    """Every key, the oldest first.

    Raises:
        Unavailable: a shard does not answer.
    """
    merged = merge_keys(*(await fleet.ask(read_api_keys)).values())
    return sorted(merged.values(), key=lambda key: (key.created_at, key.id))


async def revoke_key(fleet: Fleet, key_id: str) -> tuple[ApiKey, list[str]]:
    """The key, revoked, and the shards that could not be told: while these are away it is refused all the same, as
    one shard that knows is enough. Given again, it tells them.

    Raises:
        OperatorError: there is no such key, or no shard could be told.
    """
    reached, away = await _ask_who_answers(fleet)
    key = merge_keys(*reached.values()).get(key_id)
    if key is None:
        raise OperatorError(
            f"There is no key {key_id!r}; `shardboard keys list` shows their ids."
            + (f" These shards do not answer: {', '.join(away)}." if away else "")
        )
    if key.revoked_at is None:
        key = replace(key, revoked_at=datetime.now(UTC))
    told = await asyncio.gather(*(_tell(fleet.direct[name], key) for name in reached))
    away += [name for name, was_told in zip(reached, told, strict=True) if not was_told]
    if not any(told):
        raise OperatorError("No shard could be told; the key is not revoked. Try again.")
    return key, away


async def _ask_who_answers(fleet: Fleet) -> tuple[dict[str, list[ApiKey]], list[str]]:
    answers = await asyncio.gather(*map(read_api_keys, fleet.direct.values()), return_exceptions=True)
    reached: dict[str, list[ApiKey]] = {}
    away: list[str] = []
    for name, answer in zip(fleet.direct, answers, strict=True):
        if isinstance(answer, ShardboardError):
            away.append(name)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            reached[name] = answer
    return reached, away


async def _tell(postgres: Postgres, key: ApiKey) -> bool:
    try:
        await write_api_keys(postgres, [key])
    except ShardboardError:
        return False
    return True
