"""Many sockets in one thread: a client library would take the processor from what is measured."""

from __future__ import annotations

import resource
import selectors
import socket
import struct
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from benchmarks.watchers import frames

_OPENING_AT_ONCE = 100
_OPEN_S_MAX = 60.0
_RECV_BYTES = 262_144
# Descriptors of the benchmark itself.
_SPARE_FILES = 200
# Closed by a reset, a connection leaves no port in TIME_WAIT for the next crowd to run out of.
_RESET = struct.pack("ii", 1, 0)

OnFrame = Callable[[int, bytes, float], None]


class CrowdError(Exception):
    """A watcher could not begin, or was closed."""


class Crowd:
    """Watchers, by number from 0.

    Args:
        address: host and port of the service.
        queries: what they watch; the n-th watches the n-th query, round and round.
        count: how many there are.
        key: what they show as their credential.
    """

    def __init__(self, address: tuple[str, int], queries: Sequence[str], count: int, key: str) -> None:
        _allow_files(count + _SPARE_FILES)
        self._address = address
        self._sockets: list[socket.socket] = []
        self._rest: dict[int, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._queries = [frames.subscribe(query, key) for query in queries]
        self._count = count

    def __enter__(self) -> Crowd:
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def add(self, other: socket.socket) -> None:
        """Wait for this socket, too; `wait` says when it can be read."""
        self._selector.register(other, selectors.EVENT_READ)

    def wait(self, on_frame: OnFrame, timeout_s: float, other: socket.socket | None = None) -> float | None:
        """Read what came within `timeout_s`, or as soon as anything did.

        Args:
            on_frame: called with the number of the watcher, the payload of a text frame, and when it was received by
                `time.perf_counter`.

        Returns:
            When `other` was found to be readable, if it was.

        Raises:
            CrowdError: a watcher was closed.
        """
        found = None
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is other:
                found = time.perf_counter()
            else:
                self._read(key.data, on_frame)
        return found

    def _read(self, number: int, on_frame: OnFrame) -> None:
        one = self._sockets[number]
        try:
            data = one.recv(_RECV_BYTES)
        except BlockingIOError:
            return
        at = time.perf_counter()
        if not data:
            raise CrowdError(f"watcher {number} was closed")
        whole, rest = frames.split(self._rest.pop(number, b"") + data)
        if rest:
            self._rest[number] = rest
        for kind, payload in whole:
            if kind == frames.TEXT:
                on_frame(number, payload, at)
            elif kind == frames.PING:
                one.send(frames.frame(frames.PONG, payload))
            else:
                raise CrowdError(f"watcher {number} got a frame of kind {kind:#x}: {payload!r}")

    def _open(self) -> None:
        """Open them, some at a time, and wait until each was shown the top."""
        shown: set[int] = set()
        deadline = time.monotonic() + _OPEN_S_MAX

        def on_frame(number: int, payload: bytes, at: float) -> None:
            if b'"type":"next"' in payload:
                shown.add(number)
            elif b'"type":"connection_ack"' not in payload:
                raise CrowdError(f"watcher {number} got {payload!r}")

        while len(shown) < self._count:
            while len(self._sockets) < self._count and len(self._sockets) - len(shown) < _OPENING_AT_ONCE:
                self._open_one()
            self.wait(on_frame, 1.0)
            if time.monotonic() > deadline:
                raise CrowdError(f"only {len(shown)} of {self._count} watchers were shown the top in {_OPEN_S_MAX} s")

    def _open_one(self) -> None:
        number = len(self._sockets)
        one = socket.create_connection(self._address, timeout=10)
        self._sockets.append(one)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        one.sendall(frames.hello(self._address[0]))
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = one.recv(4096)
            if not part:
                raise CrowdError(f"watcher {number} was refused: {answer!r}")
            answer += part
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise CrowdError(f"watcher {number} was refused: {answer!r}")
        one.sendall(self._queries[number % len(self._queries)])
        one.setblocking(False)
        self._selector.register(one, selectors.EVENT_READ, number)

    def _close(self) -> None:
        self._selector.close()
        for one in self._sockets:
            one.close()
        self._sockets.clear()


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise CrowdError(f"a process may open {hard} files here and {count} are needed (ulimit -n)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
