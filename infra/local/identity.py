"""What makes a cluster the same one after a restart: its shards, its keys and passwords, its ports."""

from __future__ import annotations

import secrets
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from domain.errors import OperatorError
from infra.local.files import read_json, write_private_json
from infra.local.ports import find_free_port, is_free

SHARD_COUNT_MAX = 64
REPLICA_COUNT_MAX = 4


@dataclass(frozen=True, slots=True)
class ShardPorts:
    """A shard's name, and its ports on 127.0.0.1; 0 until they are chosen."""

    name: str
    postgres: int = 0
    pgbouncer: int = 0
    replicas: tuple[int, ...] = ()

    @property
    def all(self) -> tuple[int, ...]:
        """Every port of the shard."""
        return (self.postgres, self.pgbouncer, *self.replicas)


@dataclass(frozen=True, slots=True)
class Identity:
    """Kept in `DATA/identity.json`, readable by its owner alone.

    `shard_password` is that of the role that owns the shards' tables, `service_password` that of the service's role.
    `made_with` is the number of shards that DATA was made with; `shards` are those it has now. `unfinished` names
    shards whose adding or removing began and did not end: nothing of them is worth anything, and nothing of them is
    started. A name leaves it when the same command is given again.
    """

    server_key: str
    admin_key: str
    superuser_password: str
    shard_password: str
    service_password: str
    redis_password: str
    token_secret: str
    made_with: int
    shards: tuple[ShardPorts, ...]
    unfinished: tuple[str, ...] = ()
    redis_port: int = 0

    @property
    def ports(self) -> set[int]:
        """All ports it uses."""
        return {self.redis_port, *(port for shard in self.shards for port in shard.all)}

    @property
    def replica_count(self) -> int:
        """How many replicas each shard has."""
        return max((len(shard.replicas) for shard in self.shards), default=0)

    @property
    def directories(self) -> list[str]:
        """The names of all shards that may have files or processes, the unfinished ones too."""
        return [*(shard.name for shard in self.shards), *self.unfinished]

    def with_replicas(self, count: int) -> Identity:
        """The same with so many replicas of each shard; those that there are keep their ports."""

        def resized(ports: tuple[int, ...]) -> tuple[int, ...]:
            return (*ports, *[0] * count)[:count]

        return replace(self, shards=tuple(replace(shard, replicas=resized(shard.replicas)) for shard in self.shards))

    def with_unfinished(self, name: str) -> Identity:
        """The same, but the shard of this name is being added or removed."""
        rest = self.without(name)
        return replace(rest, unfinished=(*rest.unfinished, name))

    def with_shard(self, shard: ShardPorts) -> Identity:
        """The same with one shard more, the last one."""
        rest = self.without(shard.name)
        return replace(rest, shards=(*rest.shards, shard))

    def without(self, name: str) -> Identity:
        """The same without anything of this name."""
        return replace(
            self,
            shards=tuple(shard for shard in self.shards if shard.name != name),
            unfinished=tuple(unfinished for unfinished in self.unfinished if unfinished != name),
        )


def load_identity(data: Path, shard_count: int) -> Identity:
    """The identity kept in `data`; a new one of `shard_count` shards if there is none yet.

    Raises:
        OperatorError: `data` was made with another number of shards, and does not hold that many now either. Nothing
            was changed.
    """
    kept = read_json(_path(data))
    if kept is None:
        return _make(shard_count)
    identity = _read(kept)
    if shard_count not in (identity.made_with, len(identity.shards)):
        raise OperatorError(_refusal(data, identity, shard_count))
    return identity


def keep_identity(data: Path, identity: Identity) -> Identity:
    """Write the identity down, each port that is not chosen yet or taken by another program replaced by a free one."""
    taken: set[int] = set()

    def keep_or_find(port: int) -> int:
        if port == 0 or port in taken or not is_free(port):
            port = find_free_port(taken)
        taken.add(port)
        return port

    shards = tuple(
        ShardPorts(
            s.name,
            keep_or_find(s.postgres),
            keep_or_find(s.pgbouncer),
            tuple(map(keep_or_find, s.replicas)),
        )
        for s in identity.shards
    )
    kept = replace(identity, shards=shards, redis_port=keep_or_find(identity.redis_port))
    save_identity(data, kept)
    return kept


def save_identity(data: Path, identity: Identity) -> None:
    """Write the identity down in one step."""
    write_private_json(_path(data), asdict(identity))


def choose_ports(name: str, taken: Set[int], replica_count: int) -> ShardPorts:
    """Free ports for a new shard with so many replicas, none of them in `taken`.

    Raises:
        OperatorError: there are not so many.
    """
    ports: list[int] = []
    for _ in range(2 + replica_count):
        ports.append(find_free_port({*taken, *ports}))
    postgres, pgbouncer, *replicas = ports
    return ShardPorts(name, postgres, pgbouncer, tuple(replicas))


def names_in_words(shards: Sequence[ShardPorts]) -> str:
    """The names of these shards for a message."""
    return ", ".join(shard.name for shard in shards)


def _path(data: Path) -> Path:
    return data / "identity.json"


def _read(kept: dict[str, Any]) -> Identity:
    # Before shards were added and removed they had no names of their own, and their number never changed.
    shards = tuple(
        ShardPorts(**{"name": f"shard{number}"} | ports | {"replicas": tuple(ports.get("replicas", ()))})
        for number, ports in enumerate(kept["shards"], start=1)
    )
    unfinished = tuple(kept.get("unfinished", ()))
    # Before the service had a role of its own it had no password either, and before there were players' tokens no
    # secret for these.
    added: dict[str, Any] = {
        "made_with": len(shards),
        "service_password": _make_password(),
        "token_secret": secrets.token_urlsafe(32),
    }
    return Identity(**added | kept | {"shards": shards, "unfinished": unfinished})


def _make(shard_count: int) -> Identity:
    return Identity(
        server_key=secrets.token_urlsafe(24),
        admin_key=secrets.token_urlsafe(24),
        superuser_password=_make_password(),
        shard_password=_make_password(),
        service_password=_make_password(),
        redis_password=_make_password(),
        token_secret=secrets.token_urlsafe(32),
        made_with=shard_count,
        shards=tuple(ShardPorts(f"shard{number}") for number in range(1, shard_count + 1)),
    )


def _make_password() -> str:
    return secrets.token_hex(16)


def _refusal(data: Path, identity: Identity, shard_count: int) -> str:
    made, held = identity.made_with, len(identity.shards)
    facts = f"holds {_shards(held)}" if made == held else f"was made with {_shards(made)} and holds {held} now"
    change = "add NAME --local` adds one" if shard_count > held else "remove NAME --local` removes one"
    return (
        f"{data} {facts}, not {shard_count}; nothing was changed. Start it with SHARDS={made}; while it runs, "
        f"`shardboard shards {change}"
    )


def _shards(count: int) -> str:
    return f"{count} shard" if count == 1 else f"{count} shards"
