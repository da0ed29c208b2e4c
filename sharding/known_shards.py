"""Which shards there are: those of the settings, and those that the shards' directories name. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from db.directory import DirectoryEntry


def newest_entries(entries: Iterable[DirectoryEntry]) -> dict[str, DirectoryEntry]:
    """Of each shard's entries the newest, by name."""
    newest: dict[str, DirectoryEntry] = {}
    for entry in entries:
        known = newest.get(entry.name)
        if known is None or entry.version > known.version:
            newest[entry.name] = entry
    return newest


def present_shards(seeds: Sequence[DirectoryEntry], directory: Mapping[str, DirectoryEntry]) -> list[DirectoryEntry]:
    """The shards of the deployment: the seeds in their order, then the others by name; removed ones are left out.

    Args:
        seeds: what the settings say; where both know a shard, its address is the settings'.
        directory: the newest entry of each shard that a directory names.
    """
    known = [
        replace(directory.get(seed.name, seed), url=seed.url, direct_url=seed.direct_url, replicas=seed.replicas)
        for seed in seeds
    ]
    named = {seed.name for seed in seeds}
    known += [entry for name, entry in sorted(directory.items()) if name not in named]
    return [entry for entry in known if not entry.removed]
