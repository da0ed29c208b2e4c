"""The PgBouncer in front of one shard."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

from infra.local.binaries import Binaries, pgbouncer_version
from infra.local.child import ChildSpec
from infra.local.files import write_private
from infra.local.identity import Identity, ShardPorts
from infra.local.ports import HOST
from infra.local.postgres import DATABASE, SERVICE_ROLE, PostgresShard
from infra.local.run_as import RunAs

COMMON_CONFIG = Path(__file__).parents[1] / "pgbouncer" / "pgbouncer.ini"
PREPARED_CONFIG = COMMON_CONFIG.with_name("prepared.ini")

_KNOWS_PREPARED = (1, 21)
# From here on SIGTERM waits until the last client has gone; SIGQUIT then means: now.
_SIGTERM_WAITS = (1, 23)


class PgBouncer:
    """The files and the process of one PgBouncer, below the shard's `home`."""

    def __init__(self, postgres: PostgresShard, ports: ShardPorts, identity: Identity) -> None:
        """Nothing is touched yet."""
        self.name = f"{postgres.name}-pgbouncer"
        self.port = ports.pgbouncer
        self._postgres = postgres
        self._password = identity.service_password

    @property
    def url(self) -> str:
        """The address that all traffic to the shard takes."""
        return f"postgresql://{SERVICE_ROLE}:{self._password}@{HOST}:{self.port}/{DATABASE}"

    def spec(self, binaries: Binaries, run_as: RunAs, logs: Path) -> ChildSpec:
        """How it runs; writes its configuration."""
        version = pgbouncer_version(binaries.pgbouncer)
        config, users = self._postgres.home / "pgbouncer.ini", self._postgres.home / "users.txt"
        # The password in plain text, in a file of the server user alone: PgBouncer logs in at Postgres with it.
        for path, text in ((users, f'"{SERVICE_ROLE}" "{self._password}"\n'), (config, self._config(users, version))):
            write_private(path, text)
            run_as.own(path)
        stop = signal.SIGQUIT if version >= _SIGTERM_WAITS else signal.SIGTERM
        return ChildSpec(
            role="pgbouncer",
            name=self.name,
            command=run_as.command([binaries.pgbouncer, config], signal.SIGKILL),
            options=run_as.subprocess_options(),
            log=logs / f"pgbouncer-{self._postgres.name}.log",
            ready=self._is_ready,
            stop_signals=((stop, 1.0),),
            shard=self._postgres.name,
        )

    def _config(self, users: Path, version: tuple[int, int]) -> str:
        # The common file opens the section [pgbouncer]; opening it once more would set all of it back to the defaults.
        address = f"host={_quoted(str(self._postgres.socket_directory or HOST))} port={self._postgres.port}"
        lines = [
            "; Written at every start; what all instances have in common is in the included file.",
            "[databases]",
            f"{DATABASE} = {address} dbname={DATABASE}",
            f"%include {COMMON_CONFIG}",
            f"listen_addr = {HOST}",
            f"listen_port = {self.port}",
            f"auth_file = {users}",
        ]
        if version >= _KNOWS_PREPARED:
            lines.append(f"%include {PREPARED_CONFIG}")
        return "\n".join(lines) + "\n"

    async def _is_ready(self, pid: int) -> bool:
        try:
            _, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
