"""The children of one supervisor, and the order in which they are stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from infra.local.child import Announce, Child, ChildSpec
from infra.local.processes import ProcessRecord
from infra.local.together import together


class Children:
    """Groups of children, each of which uses those before it: started in this order, stopped in the other one."""

    def __init__(self, announce: Announce, changed: Callable[[], None]) -> None:
        """Nothing runs yet. `announce` and `changed` are those of `Child`."""
        self._announce = announce
        self._changed = changed
        self._groups: list[list[Child]] = []

    def __iter__(self) -> Iterator[Child]:
        """All of them, group by group."""
        return (child for group in self._groups for child in group)

    @property
    def records(self) -> list[ProcessRecord]:
        """The processes that run now."""
        return [child.record for child in self if child.record is not None]

    def of_shard(self, name: str) -> list[Child]:
        """The children of one shard, in the order they were started; none when there is no such shard."""
        return [child for child in self if child.spec.shard == name]

    async def start(self, specs: Sequence[ChildSpec]) -> None:
        """Start one more group, all of it at once.

        Raises:
            ChildDied: one did not start; `stop_all` stops the others.
        """
        group = [self._make(spec) for spec in specs]
        self._groups.append(group)
        await together(child.start() for child in group)

    async def start_one(self, spec: ChildSpec) -> None:
        """Start one more beside those of the same role, of which there is one at least; it is stopped with them.

        Raises:
            ChildDied: it did not start; it stays among the children until `discard`.
        """
        child = self._make(spec)
        # Among them before it runs, so that its process is written down as soon as there is one.
        next(group for group in self._groups if any(c.spec.role == spec.role for c in group)).append(child)
        await child.start()

    async def discard(self, child: Child) -> None:
        """Stop one for good."""
        await child.stop()
        for group in self._groups:
            if child in group:
                group.remove(child)
        self._changed()

    async def stop_all(self) -> None:
        """Stop all: what was started last uses what was started before it."""
        while self._groups:
            await together(child.stop() for child in self._groups[-1])
            self._groups.pop()

    def _make(self, spec: ChildSpec) -> Child:
        return Child(spec, self._announce, self._changed)
