"""Numbers in memory that processes share: what stays of one that ends, and what does not."""

from __future__ import annotations

from pathlib import Path

from app.metrics.merge import Merged, read_merged
from app.metrics.shared_cells import SharedCells, open_shared_cells
from domain.metrics.instruments import LocalCells, Metrics


class Process:
    """The metrics of one process, in a directory."""

    def __init__(self, directory: Path, bounds: tuple[float, ...] = (1.0, 10.0)) -> None:
        self.metrics = Metrics()
        self.asked = self.metrics.counter("asked", "", "who")
        self.open = self.metrics.gauge("open", "")
        self.up = self.metrics.gauge("up", "", "part", merge="min")
        self.lag = self.metrics.gauge("lag", "", merge="max")
        self.took = self.metrics.histogram("took", "", bounds=bounds)
        self.asked.of("before").add()
        self.cells = SharedCells(directory)
        self.metrics.keep_in(self.cells)

    def merged(self, directory: Path) -> Merged:
        return read_merged(self.metrics, directory)


def test_counts_add_up_and_gauges_merge_as_they_are_meant(tmp_path: Path) -> None:
    one, other = Process(tmp_path), Process(tmp_path)
    one.asked.of("a").add()
    other.asked.of("a").add(2)
    for process, up, lag in ((one, 1, 0.5), (other, 0, 3.0)):
        process.open.of().set(4)
        process.up.of("x").set(up)
        process.lag.of().set(lag)
        for value in (1.0, 5.0, 11.0):
            process.took.of().observe(value)
    other.up.of("y").set(1)
    other.up.of("z").clear()
    assert one.merged(tmp_path) == {
        "asked": {("before",): [2.0], ("a",): [3.0]},
        "open": {(): [8.0]},
        "up": {("x",): [0.0], ("y",): [1.0]},
        "lag": {(): [3.0]},
        "took": {(): [2.0, 2.0, 2.0, 34.0]},
    }


def test_of_a_process_that_ended_counts_stay_and_gauges_vanish(tmp_path: Path) -> None:
    one, dead = Process(tmp_path), Process(tmp_path)
    dead.asked.of("a").add(7)
    dead.open.of().set(4)
    dead.cells.close()
    assert one.merged(tmp_path)["asked"] == {("before",): [2.0], ("a",): [7.0]}
    assert one.merged(tmp_path)["open"] == {}
    # One that starts counts on in its files: nothing is there twice, and what the dead one held is not the new one's.
    new = Process(tmp_path)
    assert new.merged(tmp_path)["asked"] == {("before",): [3.0], ("a",): [7.0]}
    assert new.merged(tmp_path)["open"] == {}
    new.asked.of("a").add()
    assert one.merged(tmp_path)["asked"][("a",)] == [8.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.cells", "0.names", "1.cells", "1.names"]


def test_a_name_half_written_is_none(tmp_path: Path) -> None:
    one = Process(tmp_path)
    one.asked.of("a").add()
    one.cells.close()
    with (tmp_path / "0.names").open("a") as names:
        names.write('["asked", "counter", ["b')
    again = Process(tmp_path)
    again.asked.of("c").add()
    assert again.merged(tmp_path)["asked"] == {("before",): [2.0], ("a",): [1.0], ("c",): [1.0]}


def test_a_histogram_with_other_bounds_is_another(tmp_path: Path) -> None:
    old, new = Process(tmp_path), Process(tmp_path, bounds=(2.0,))
    old.took.of().observe(5.0)
    new.took.of().observe(1.0)
    assert new.merged(tmp_path)["took"] == {(): [1.0, 0.0, 1.0]}
    assert old.merged(tmp_path)["took"] == {(): [0.0, 1.0, 0.0, 5.0]}


def test_a_directory_that_cannot_be_used_takes_nothing_down(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert isinstance(open_shared_cells(tmp_path / "file"), LocalCells)
