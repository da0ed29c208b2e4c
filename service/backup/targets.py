"""Which shard a restore puts where: decided before anything is touched. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from domain.errors import OperatorError


def assign(sources: Sequence[str], shards: Collection[str], renames: Mapping[str, str]) -> dict[str, list[str]]:
    """For every shard of the deployment the shards of the backup that it is given; none for a shard that stays empty.

    Args:
        sources: the shards of the backup.
        shards: those of the deployment.
        renames: shards of the backup that go to a shard of another name; several may go to one.

    Raises:
        OperatorError: a name is none, or a shard of the backup has no place.
    """
    for source, target in renames.items():
        if source not in sources:
            raise OperatorError(
                f"--into {source}={target}: the backup has no shard {source}; it has {', '.join(sources)}."
            )
        if target not in shards:
            raise OperatorError(
                f"--into {source}={target}: the deployment has no shard {target}; it has {', '.join(sorted(shards))}."
            )
    given: dict[str, list[str]] = {shard: [] for shard in shards}
    homeless = []
    for source in sources:
        target = renames.get(source, source)
        if target in given:
            given[target].append(source)
        else:
            homeless.append(source)
    if homeless:
        raise OperatorError(
            f"The deployment has no shard {', '.join(homeless)}, of which the backup has players; it has "
            f"{', '.join(sorted(shards))}. Start the missing ones, or say with --into {homeless[0]}=SHARD where they "
            "go."
        )
    return given
