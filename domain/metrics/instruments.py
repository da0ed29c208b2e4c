"""Instruments that parts tell what they see: counters, gauges and histograms with labels.

To count costs a tenth of a microsecond: a child's values are cells in an array, which may lie in memory that the
machine's other API processes read (app/metrics/shared_cells.py). Nothing here does I/O, so any layer may count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from math import nan
from typing import Generic, Literal, Protocol, TypeVar

Values = MutableSequence[float]
Merge = Literal["sum", "max", "min"]
"""What several processes' values of a gauge come to."""


class Cells(Protocol):
    """Where values are kept."""

    def allot(self, instrument: Instrument, labels: Sequence[str]) -> tuple[Values, int]:
        """An array and the place in it of the first of the child's cells."""


class LocalCells:
    """Cells that nobody but this process reads."""

    def __init__(self) -> None:
        self._values: list[float] = []

    def allot(self, instrument: Instrument, labels: Sequence[str]) -> tuple[Values, int]:
        """See `Cells`."""
        at = len(self._values)
        self._values += [instrument.empty] * instrument.size
        return self._values, at


class Instrument:
    """What all kinds have in common.

    Attributes:
        name: without a suffix such as `_total`.
        bounds: of a histogram's buckets, upwards.
        merge: see `Merge`; counters and histograms are added up.
        size: cells a child has.
        empty: what a cell holds at first.
    """

    kind: Literal["counter", "gauge", "histogram"]
    empty = 0.0
    bounds: tuple[float, ...] = ()
    merge: Merge = "sum"

    def __init__(self, cells: Cells, name: str, help_: str, labels: Sequence[str]) -> None:
        self.name = name
        self.help = help_
        self.labels = tuple(labels)
        self._cells = cells

    @property
    def size(self) -> int:
        """Cells a child has: one, or of a histogram one a bucket, one above them all, and the sum."""
        return len(self.bounds) + 2 if self.bounds else 1

    def keep_in(self, cells: Cells) -> None:
        """Keep the values in other cells from now on, what was counted so far as well."""
        raise NotImplementedError

    def read(self) -> Iterator[tuple[tuple[str, ...], Sequence[float]]]:
        """What each child's cells hold, by its labels."""
        raise NotImplementedError


class Child:
    """An instrument with its labels' values."""

    __slots__ = ("_at", "_bounds", "_sum_at", "_values")

    def __init__(self, values: Values, at: int, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.lie_at(values, at)

    def lie_at(self, values: Values, at: int) -> None:
        """Have its cells there."""
        self._values = values
        self._at = at
        self._sum_at = at + len(self._bounds) + 1

    def cells(self) -> Sequence[float]:
        """What they hold now."""
        return list(self._values[self._at : (self._sum_at if self._bounds else self._at) + 1])


class CounterChild(Child):
    """One number that grows."""

    __slots__ = ()

    def add(self, amount: float = 1.0) -> None:
        """Count."""
        self._values[self._at] += amount

    @property
    def value(self) -> float:
        """What was counted."""
        return self._values[self._at]


class GaugeChild(Child):
    """One number that comes and goes."""

    __slots__ = ()

    def set(self, value: float) -> None:
        """It is this now."""
        self._values[self._at] = value

    def clear(self) -> None:
        """This process does not know it any more."""
        self._values[self._at] = nan

    @property
    def value(self) -> float:
        """What it is; NaN where this process does not know."""
        return self._values[self._at]


class HistogramChild(Child):
    """Many numbers, by how large they are."""

    __slots__ = ()

    def observe(self, value: float) -> None:
        """One more."""
        values = self._values
        values[self._at + bisect_left(self._bounds, value)] += 1.0
        values[self._sum_at] += value

    @property
    def count(self) -> float:
        """How many there were."""
        return sum(self._values[self._at : self._sum_at])

    @property
    def sum(self) -> float:
        """What they add up to."""
        return self._values[self._sum_at]


Kind = TypeVar("Kind", bound=Child)


class _Family(Instrument, Generic[Kind]):
    """An instrument and its children, which are made when first asked for."""

    _child: Callable[[Values, int, tuple[float, ...]], Kind]

    def __init__(self, cells: Cells, name: str, help_: str, labels: Sequence[str]) -> None:
        super().__init__(cells, name, help_, labels)
        self._children: dict[tuple[str, ...], Kind] = {}

    def of(self, *labels: str) -> Kind:
        """The child with these labels' values, in the order of `labels`. Their number must be bounded."""
        child = self._children.get(labels)
        if child is None:
            if len(labels) != len(self.labels):
                raise ValueError(f"{self.name} has the labels {self.labels}; got {labels}")
            child = self._children[labels] = self._child(*self._cells.allot(self, labels), self.bounds)
        return child

    def keep_in(self, cells: Cells) -> None:
        """See the base class."""
        self._cells = cells
        for labels, child in self._children.items():
            before = child.cells()
            values, at = cells.allot(self, labels)
            for index, value in enumerate(before):
                # What an earlier process counted into these cells stays.
                values[at + index] = value if self.kind == "gauge" else values[at + index] + value
            child.lie_at(values, at)

    def read(self) -> Iterator[tuple[tuple[str, ...], Sequence[float]]]:
        """See the base class."""
        for labels, child in list(self._children.items()):
            yield labels, child.cells()


class Counter(_Family[CounterChild]):
    """Counts what happened."""

    kind = "counter"
    _child = CounterChild


class Gauge(_Family[GaugeChild]):
    """Tells how something is now."""

    kind = "gauge"
    empty = nan
    _child = GaugeChild

    def __init__(self, cells: Cells, name: str, help_: str, labels: Sequence[str], merge: Merge) -> None:
        super().__init__(cells, name, help_, labels)
        self.merge = merge


class Histogram(_Family[HistogramChild]):
    """Counts values by how large they are."""

    kind = "histogram"
    _child = HistogramChild

    def __init__(self, cells: Cells, name: str, help_: str, labels: Sequence[str], bounds: tuple[float, ...]) -> None:
        super().__init__(cells, name, help_, labels)
        self.bounds = bounds


class Metrics:
    """All instruments of a process."""

    def __init__(self) -> None:
        self._cells: Cells = LocalCells()
        self._instruments: dict[str, Instrument] = {}

    def counter(self, name: str, help_: str, *labels: str) -> Counter:
        """Make one."""
        return self._add(Counter(self._cells, name, help_, labels))

    def gauge(self, name: str, help_: str, *labels: str, merge: Merge = "sum") -> Gauge:
        """Make one."""
        return self._add(Gauge(self._cells, name, help_, labels, merge))

    def histogram(self, name: str, help_: str, *labels: str, bounds: tuple[float, ...]) -> Histogram:
        """Make one."""
        return self._add(Histogram(self._cells, name, help_, labels, bounds))

    def find(self, name: str) -> Instrument | None:
        """The instrument of this name."""
        return self._instruments.get(name)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._instruments.values())

    def keep_in(self, cells: Cells) -> None:
        """Keep all values in other cells from now on."""
        self._cells = cells
        for instrument in self._instruments.values():
            instrument.keep_in(cells)

    _Made = TypeVar("_Made", bound=Instrument)

    def _add(self, instrument: _Made) -> _Made:
        if instrument.name in self._instruments:
            raise ValueError(f"there are two metrics {instrument.name}")
        self._instruments[instrument.name] = instrument
        return instrument
