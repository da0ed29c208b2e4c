"""Connections that end while their client still sends, without the answer being lost.

A socket that is closed with unread bytes in it makes the kernel reset the connection, and a client that is reset drops
what it has not read: the very answer that says what was wrong. So the own half is closed first, and what still comes is
read and dropped until the client ends its half, too. nginx and Apache do the same; uvicorn does not.
"""

from __future__ import annotations

import asyncio

from domain.resilience.limits import DROP_S_MAX


class LingeringTransport:
    """A connection's transport, for one HTTP protocol, whose `close` lingers where the client may still send.

    Args:
        transport: the connection's own.

    Attributes:
        is_receiving: whether the client is amid a request; the protocol says so.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.inner = transport
        self.is_receiving = False
        self._has_ended = False
        self.write = transport.write
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.get_extra_info = transport.get_extra_info

    def is_closing(self) -> bool:
        """See `asyncio.Transport`; true as soon as the own half is closed."""
        return self._has_ended or self.inner.is_closing()

    def close(self) -> None:
        """See `asyncio.Transport`; what still comes is dropped for `DROP_S_MAX`."""
        if self.is_closing():
            return
        if not self.is_receiving or not self.inner.can_write_eof():
            self.inner.close()
            return
        self._has_ended = True
        try:
            self.inner.write_eof()
        except OSError:  # the client has just reset the connection
            self.inner.close()
            return
        self.inner.set_protocol(_Dropping(self.inner))
        self.inner.resume_reading()


class _Dropping(asyncio.Protocol):
    """Reads what still comes, until the client has ended its half or is overdue, and tells the protocol before it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._before = transport.get_protocol()
        self._overdue = asyncio.get_running_loop().call_later(DROP_S_MAX, transport.close)

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._before.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._before.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._overdue.cancel()
        self._before.connection_lost(exc)
