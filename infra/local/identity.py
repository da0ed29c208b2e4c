"""What makes a cluster the same one after a restart: how many shards, its keys and passwords, its ports."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from domain.errors import OperatorError
from infra.local.files import read_json, write_private_json
from infra.local.ports import find_free_port, is_free


@dataclass(frozen=True, slots=True)
class ShardPorts:
    """The ports of one shard on 127.0.0.1; 0 until they are chosen."""

    postgres: int = 0
    pgbouncer: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Kept in `DATA/identity.json`, readable by its owner alone."""

    server_key: str
    admin_key: str
    superuser_password: str
    shard_password: str
    redis_password: str
    shards: tuple[ShardPorts, ...]
    redis_port: int = 0

    @property
    def ports(self) -> set[int]:
        """All ports it uses."""
        return {self.redis_port, *(port for shard in self.shards for port in (shard.postgres, shard.pgbouncer))}


def load_identity(data: Path, shard_count: int) -> Identity:
    """The identity kept in `data`; a new one if there is none yet.

    Raises:
        OperatorError: `data` holds another number of shards. Nothing was changed.
    """
    kept = read_json(_path(data))
    if kept is None:
        return _make(shard_count)
    identity = Identity(**kept | {"shards": tuple(ShardPorts(**ports) for ports in kept["shards"])})
    held = len(identity.shards)
    if held != shard_count:
        raise OperatorError(
            f"{data} holds {held} shards, not {shard_count}; nothing was changed. Start it with SHARDS={held}, or "
            f"carry its sessions over to a new DATA: `shardboard export --data {data} sessions.ndjson`, "
            f"`make up SHARDS={shard_count} DATA=<new>`, `shardboard import --data <new> sessions.ndjson`"
        )
    return identity


def keep_identity(data: Path, identity: Identity) -> Identity:
    """Write the identity down, each port that is not chosen yet or taken by another program replaced by a free one."""
    taken: set[int] = set()

    def keep_or_find(port: int) -> int:
        if port == 0 or port in taken or not is_free(port):
            port = find_free_port(taken)
        taken.add(port)
        return port

    shards = tuple(ShardPorts(keep_or_find(s.postgres), keep_or_find(s.pgbouncer)) for s in identity.shards)
    kept = replace(identity, shards=shards, redis_port=keep_or_find(identity.redis_port))
    write_private_json(_path(data), asdict(kept))
    return kept


def _path(data: Path) -> Path:
    return data / "identity.json"


def _make(shard_count: int) -> Identity:
    return Identity(
        server_key=secrets.token_urlsafe(24),
        admin_key=secrets.token_urlsafe(24),
        superuser_password=secrets.token_hex(16),
        shard_password=secrets.token_hex(16),
        redis_password=secrets.token_hex(16),
        shards=(ShardPorts(),) * shard_count,
    )
