"""Adding a shard to a running cluster, and removing one.

`identity.json` decides what a DATA holds. Both begin by naming the shard as unfinished there and end by taking that
back, each in one step of the file system. Whatever a supervisor that was killed in between has left is therefore known
to the next one, which ends its processes and deletes its files; neither ever holds anything that anyone needs, because
a shard is given data only after it was added, and is removed only after it was emptied.
"""

from __future__ import annotations

import asyncio
import os

import asyncpg

from domain.errors import OperatorError
from infra.local.cluster_file import ShardUrls
from infra.local.files import delete_directory
from infra.local.identity import SHARD_COUNT_MAX, choose_ports, names_in_words
from infra.local.running import Running
from infra.local.shard import LocalShard
from infra.local.shard_name import require_shard_name

_READY_SECONDS_MAX = 60.0


async def add_shard(cluster: Running, name: str) -> ShardUrls:
    """Start one more shard, empty; one of this name that is there already is waited for instead.

    Raises:
        OperatorError: the name is not allowed, there are too many shards, or it does not start. Nothing of it is left
            then, as when this is cancelled.
    """
    require_shard_name(name)
    existing = cluster.find_shard(name)
    if existing is not None:
        await _until_ready(cluster, existing)
        return existing.urls
    _require_room(cluster, name)
    cluster.announce(f"adding the shard {name}")
    cluster.keep(cluster.identity.with_unfinished(name))
    try:
        shard = await _make_and_start(cluster, name)
        # From here on it is one of the shards, also after a kill.
        cluster.keep(cluster.identity.with_shard(shard.ports))
    except BaseException as failure:
        cluster.announce(f"!! the shard {name} was not added: {str(failure) or type(failure).__name__}")
        await _discard(cluster, name)
        if isinstance(failure, OSError | asyncpg.PostgresError):
            raise OperatorError(f"the shard {name} was not added: {failure or type(failure).__name__}") from failure
        raise
    cluster.shards.append(shard)
    cluster.write_down()
    cluster.announce(f"added the shard {name}")
    return shard.urls


async def remove_shard(cluster: Running, name: str) -> None:
    """Stop a shard and delete it with all it holds; the caller knows that this is nothing.

    Raises:
        OperatorError: there is no such shard, it is the last one, or its files cannot be deleted; in the last case it
            is none of the shards any more, and may be removed again.
    """
    if name not in cluster.identity.directories:
        raise OperatorError(f"there is no shard {name}; there are {names_in_words(cluster.identity.shards)}")
    if [shard.name for shard in cluster.shards] == [name]:
        raise OperatorError(f"{name} is the last shard and cannot be removed")
    cluster.announce(f"removing the shard {name}")
    # The point of no return: from here on no start of the cluster brings it back.
    cluster.keep(cluster.identity.with_unfinished(name))
    cluster.shards = [shard for shard in cluster.shards if shard.name != name]
    cluster.write_down()
    await _discard(cluster, name)
    cluster.announce(f"removed the shard {name}")


async def delete_unfinished(cluster: Running) -> None:
    """Delete the files of shards whose adding or removing a kill cut short; their processes were ended before.

    The names stay known as unfinished, so that a removal that was cut short can be given again.
    """
    for name in cluster.identity.unfinished:
        try:
            await delete_directory(cluster.data / name)
        except OSError as error:
            # No reason not to start; it is tried again at the next start.
            cluster.announce(f"!! {cluster.data / name}, of a shard that was removed, cannot be deleted: {error}")


async def _make_and_start(cluster: Running, name: str) -> LocalShard:
    # What an earlier try has left; its passwords and ports are not these.
    await delete_directory(cluster.data / name)
    taken = cluster.identity.ports | {cluster.port}
    shard = LocalShard(cluster.data, choose_ports(name, taken, cluster.identity.replica_count), cluster.identity)
    how = cluster.how
    await shard.postgres.prepare(how.binaries, how.run_as)
    await cluster.children.start_one(shard.postgres.spec(*how))
    await shard.postgres.ensure_database()
    await shard.prepare_replicas(how.binaries, how.run_as)
    for replica in shard.replicas:
        await cluster.children.start_one(replica.spec(*how))
    await cluster.children.start_one(shard.pgbouncer.spec(*how))
    return shard


async def _discard(cluster: Running, name: str) -> None:
    for child in reversed(cluster.children.of_shard(name)):
        await cluster.children.discard(child)
    try:
        await delete_directory(cluster.data / name)
    except OSError as error:
        raise OperatorError(f"the shard {name} is stopped, but its files cannot be deleted: {error}") from error
    cluster.keep(cluster.identity.without(name))


def _require_room(cluster: Running, name: str) -> None:
    if len(cluster.shards) >= SHARD_COUNT_MAX:
        raise OperatorError(f"{cluster.data} holds {len(cluster.shards)} shards, which is the most there can be")
    home = cluster.data / name
    if name not in cluster.identity.unfinished and os.path.lexists(home):
        raise OperatorError(f"{home} exists and belongs to no shard: move it away, or choose another name")


async def _until_ready(cluster: Running, shard: LocalShard) -> None:
    try:
        async with asyncio.timeout(_READY_SECONDS_MAX):
            for child in cluster.children.of_shard(shard.name):
                await child.until_ready()
    except TimeoutError:
        raise OperatorError(
            f"the shard {shard.name} is there, but does not run now; {cluster.how.logs} tells why"
        ) from None
