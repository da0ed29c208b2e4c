"""How full a disk is."""

from __future__ import annotations

from service.doctor.finding import Finding, Severity

_FREE_SHARE_WARNED, _FREE_SHARE_MIN = 0.15, 0.05


def judge_disk(path: str, free_bytes: int, total_bytes: int) -> list[Finding]:
    """What it means for the shards below `path` that so much of their disk is free."""
    if free_bytes > _FREE_SHARE_WARNED * total_bytes:
        return []
    return [
        Finding(
            Severity.ERROR if free_bytes < _FREE_SHARE_MIN * total_bytes else Severity.WARNING,
            "disk",
            "disk",
            f"The disk of {path} has {free_bytes / 1e6:,.0f} MB left, {100 * free_bytes / total_bytes:.0f} %: a full "
            "one stops its shards.",
            "Make room there, or `shardboard sessions prune --before YYYY-MM`.",
        )
    ]
