"""What a shard of a local cluster may be called."""

from __future__ import annotations

import re

from domain.errors import OperatorError

_RULE = re.compile(r"[a-z][a-z0-9_-]{0,30}")
# A shard's files are in `DATA/<name>`, its processes are told apart by its name.
_TAKEN = frozenset({"control", "lock", "logs", "supervisor", "tmp", "valkey"})
_TAKEN_ENDING = re.compile(r"-(pgbouncer|replica\d+)$")


def require_shard_name(name: str) -> None:
    """Refuse what cannot be the name of a shard.

    Raises:
        OperatorError: it breaks the rule, or DATA uses this name for itself.
    """
    if _RULE.fullmatch(name) is None:
        raise OperatorError(
            f"a shard's name is a letter and at most 30 more of a-z, 0-9, _ and -, all in lower case; got {name!r}"
        )
    if name in _TAKEN or _TAKEN_ENDING.search(name):
        raise OperatorError(f"a shard cannot be called {name}: the cluster uses that name for itself")
