"""Under which user the servers run, and how they come to their files."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import OperatorError

# PostgreSQL and PgBouncer refuse to run as root.
_SERVER_USERS = ("postgres", "nobody")

# What a server may be given when its files lie below a directory its user cannot enter, such as root's home: the least
# that works. Containers commonly have the second capability and not the first.
_CAPABILITIES: tuple[str | None, ...] = (None, "dac_read_search", "dac_override")


@dataclass(frozen=True, slots=True)
class RunAs:
    """How children are started: as whom, and dying with their supervisor where the system can do that.

    `user` None stands for the user of the supervisor.
    """

    user: pwd.struct_passwd | None
    setpriv: str | None
    capability: str | None = None

    @property
    def uid(self) -> int:
        """The number of the user that children get."""
        return os.geteuid() if self.user is None else self.user.pw_uid

    def command(self, command: Sequence[str | Path], death_signal: signal.Signals) -> list[str]:
        """`command` so wrapped that it runs as the user and gets `death_signal` when the supervisor dies."""
        plain = [str(part) for part in command]
        if self.setpriv is None:
            return plain
        options = ["--pdeathsig", death_signal.name.removeprefix("SIG")]
        if self.user is not None:
            options += self._demotion(self.user)
        return [self.setpriv, *options, "--", *plain]

    def subprocess_options(self) -> dict[str, Any]:
        """Arguments for `subprocess` that do what `setpriv` does elsewhere, as far as Python can."""
        if self.setpriv is not None or self.user is None:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give `path` to the server user."""
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _demotion(self, user: pwd.struct_passwd) -> list[str]:
        kept = f"-all,+{self.capability}" if self.capability else "-all"
        options = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", f"--inh-caps={kept}"]
        if self.capability:
            # access(2) ignores capabilities of other users than root unless the fix-up is off; initdb asks access(2).
            options += [f"--ambient-caps={kept}", "--securebits=+no_setuid_fixup"]
        return [*options, f"--bounding-set={kept}", "--no-new-privs"]


def user_name(uid: int) -> str:
    """The name of a user; the number where there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def as_self() -> RunAs:
    """Children that run as the supervisor does."""
    return RunAs(None, shutil.which("setpriv") if sys.platform == "linux" else None)


def find_run_as(data: Path, needed: Sequence[Path]) -> RunAs:
    """How PostgreSQL, PgBouncer and Valkey run: as the supervisor's own user, or for root as an unprivileged one.

    Args:
        data: the directory they will work below.
        needed: programs and files that they must be able to read (and execute, if they are programs).

    Raises:
        OperatorError: as root, when no unprivileged user can come to these paths.
    """
    plain = as_self()
    if os.geteuid() != 0:
        return plain
    user = _server_user()
    for capability in _CAPABILITIES if plain.setpriv else (None,):
        candidate = RunAs(user, plain.setpriv, capability)
        if _can_reach(candidate, data, needed):
            return candidate
    raise OperatorError(
        f"the servers run as the user {user.pw_name}, who cannot enter {data} or {needed[0]}: put the checkout and "
        "DATA where every user may enter (chmod a+x on the directories above), or run this as a normal user"
    )


def _server_user() -> pwd.struct_passwd:
    for name in _SERVER_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise OperatorError(f"PostgreSQL does not run as root and there is no user {' or '.join(_SERVER_USERS)}")


def _can_reach(candidate: RunAs, data: Path, needed: Sequence[Path]) -> bool:
    tests = [f'test -x "${{{1}}}"']
    for number, path in enumerate(needed, start=2):
        tests.append(f'test {"-x" if os.access(path, os.X_OK) else "-r"} "${{{number}}}"')
    script = " && ".join(tests)
    command = candidate.command(["/bin/sh", "-c", script, "sh", data, *needed], signal.SIGKILL)
    options = candidate.subprocess_options()
    return subprocess.run(command, capture_output=True, check=False, timeout=10, **options).returncode == 0
