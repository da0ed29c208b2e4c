"""What a watcher has to be shown in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping

from tests.chaos.chains import Chain
from tests.chaos.history import Seen, Violation
from tests.chaos.watcher import SHOWN, Watcher
from tests.waiting import until


def top_of(chains: Iterable[tuple[int, Chain]]) -> list[Seen]:
    """The top as a watcher has to be shown it in the end."""
    ordered = sorted((-chain.totals[-1], user, len(chain.ids)) for user, chain in chains)
    totals = [total for total, _, _ in ordered]
    return [Seen(user, -total, games, 1 + totals.index(total)) for total, user, games in ordered[:SHOWN]]


async def check_watcher(watcher: Watcher, chains: Mapping[int, Chain], seconds_max: float) -> AsyncIterator[Violation]:
    """Whether a watcher is shown the truth in the end."""
    expected = top_of(chains.items())
    try:
        await until(lambda: watcher.shown == expected, max(seconds_max, 0.1))
    except TimeoutError:
        yield Violation("watch", f"the last state is {watcher.shown}, the truth {expected}")
