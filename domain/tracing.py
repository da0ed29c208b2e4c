"""What the service tells of its work while it is traced.

`tracer` is the one of this process, set by the app before anything else is made. It is None unless an operator wants
traces, and costs those who work a look at it then, and nothing more. Attributes name parts, kinds and counts: never a
player, a score, a key, or a statement with values in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Protocol

Attributes = Mapping[str, str | int]
Describe = Callable[[], tuple[str, Attributes]]
"""Names work and says what it is; called only where that is recorded."""


class Work(Protocol):
    """A piece of work, a span in a trace if it is recorded. As a block, what is done inside of it belongs to it."""

    def __enter__(self) -> Work: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def set(self, key: str, value: str | int) -> None:
        """Say one thing more of it."""

    def end(self, error: BaseException | None = None) -> None:
        """End it, where it was not a block; with the error that it failed with."""


class Tracer(Protocol):
    """Records work."""

    def here(self) -> object | None:
        """The recorded work that the running code belongs to, to be given to `batch`."""

    def call(self, describe: Describe) -> Work:
        """A call of another part, recorded where it belongs to recorded work."""

    def operation(self, describe: Describe) -> Work:
        """What a client asks for: within the request that it came with, or alone where that lives on (a socket)."""

    def step(self, name: str, attributes: Attributes) -> Work:
        """Work that no request waits for, a trace of its own."""

    def batch(self, name: str, members: Iterable[object | None], attributes: Attributes) -> Work:
        """Work for several at once, linked to each of them, and each of them to it.

        It is in the trace of the first that is recorded: a batch of one stands where one looks for it, and a batch is
        recorded when any of those in it is, whatever the sampler would say of it alone.
        """

    def failed(self, code: str, *, is_fault: bool) -> None:
        """Note that what the running code belongs to is answered with an error of the contract.

        Args:
            is_fault: whether the service is to blame.
        """


class _Nothing:
    """Work that nobody records."""

    __slots__ = ()

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def set(self, key: str, value: str | int) -> None:
        pass

    def end(self, error: BaseException | None = None) -> None:
        pass


NOTHING: Work = _Nothing()
tracer: Tracer | None = None


def use(chosen: Tracer | None) -> None:
    """Tell this tracer of all work from now on."""
    global tracer
    tracer = chosen


def step(name: str, attributes: Attributes) -> Work:
    """Work that no request waits for; for what is done a few times a second at most."""
    return NOTHING if tracer is None else tracer.step(name, attributes)
