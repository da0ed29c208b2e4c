"""Two clocks compared: one that was read between two looks at the other."""

from __future__ import annotations

from service.doctor.finding import Finding, Severity

_APART_S_WARNED, _APART_S_MAX = 1.0, 30.0


def judge_clock(part: str, clock: float, before: float, after: float) -> list[Finding]:
    """What it means that a part's clock said `clock` while this machine's went from `before` to `after`; seconds."""
    apart = clock - after if clock > after else clock - before if clock < before else 0.0
    if abs(apart) < _APART_S_WARNED:
        return []
    return [
        Finding(
            Severity.ERROR if abs(apart) > _APART_S_MAX else Severity.WARNING,
            part,
            "clock",
            f"Its clock is {abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} this machine's: ids of sessions, "
            "limits and freezes go by the clocks of different machines.",
            "Let all machines follow one time: `timedatectl set-ntp true`, or chrony.",
        )
    ]
