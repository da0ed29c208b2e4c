"""The Valkey that holds the ranks."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from infra.local.binaries import Binaries
from infra.local.child import ChildSpec
from infra.local.files import write_private
from infra.local.identity import Identity
from infra.local.ports import HOST
from infra.local.run_as import RunAs


class Valkey:
    """The files and the process of the one Valkey, in `home`."""

    name = "valkey"

    def __init__(self, home: Path, identity: Identity) -> None:
        """Nothing is touched yet."""
        self.home = home
        self.port = identity.redis_port
        self._password = identity.redis_password

    @property
    def url(self) -> str:
        """Its address, the password included."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    def spec(self, binaries: Binaries, run_as: RunAs, logs: Path) -> ChildSpec:
        """How it runs; writes its configuration."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        config = self.home / "valkey.conf"
        write_private(config, self._config())
        for path in (self.home, config):
            run_as.own(path)
        return ChildSpec(
            role="valkey",
            name=self.name,
            command=run_as.command([binaries.valkey_server, config], signal.SIGTERM),
            options=run_as.subprocess_options(),
            log=logs / "valkey.log",
            ready=self._is_ready,
            stop_signals=((signal.SIGTERM, 3.0),),
            # It reads all it holds before it answers.
            ready_seconds_max=120.0,
        )

    def _config(self) -> str:
        return (
            "# Written at every start.\n"
            f"bind {HOST}\n"
            f"port {self.port}\n"
            f"requirepass {self._password}\n"
            f'dir "{self.home}"\n'
            "# Kept over restarts; a crash of the machine loses a second at most, which the relay mends.\n"
            "appendonly yes\n"
            "appendfsync everysec\n"
            'save ""\n'
            "# Ranks must never disappear by themselves: rather refuse writes, which is noticed.\n"
            "maxmemory-policy noeviction\n"
            "# Enough for every API process of a machine and its subscribers.\n"
            "tcp-backlog 511\n"
            "maxclients 2000\n"
        )

    async def _is_ready(self, pid: int) -> bool:
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        try:
            writer.write(f"AUTH {self._password}\r\nPING\r\n".encode())
            answers = [await reader.readline(), await reader.readline()]
        except OSError:
            return False
        finally:
            writer.close()
        return answers == [b"+OK\r\n", b"+PONG\r\n"]
