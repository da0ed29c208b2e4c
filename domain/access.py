"""Who asks, and what each may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from domain.errors import Forbidden, Unauthenticated

HOW_TO_AUTHENTICATE = (
    "send a server key or a player's token as `Authorization: Bearer …`, over WebSocket as `authorization` in the "
    "payload of connection_init"
)


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    """Read ranks and histories, also where reads are not open to everybody."""
    SUBMIT = "submit"
    """Submit scores for any player."""
    ADMIN = "admin"
    """Change boards, players and shards, and look at the schema in production."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        kind: an address without credential, a key, or a player with a token.
        name: tells callers apart in limits and logs, such as `key:k3x9…`, `player:42`, `address:192.0.2.1`; it is no
            secret.
        user_id: the player of a token.
        expires_at: when the credential ends, in seconds since 1970; None for never.
        submissions_per_minute, reads_per_minute: how many of each over all processes; 0 for no limit.
    """

    kind: Literal["address", "key", "player"]
    name: str
    scopes: frozenset[Scope] = frozenset()
    user_id: int | None = None
    expires_at: float | None = None
    submissions_per_minute: int = 0
    reads_per_minute: int = 0

    @property
    def reads_freely(self) -> bool:
        """Whether its reads need neither be refused nor counted."""
        return self.reads_per_minute == 0 and Scope.READ in self.scopes

    def require_submit(self) -> None:
        """Refuse who may submit for nobody.

        Raises:
            Unauthenticated: there is no credential.
            Forbidden: the credential is for something else.
        """
        if Scope.SUBMIT in self.scopes:
            return
        if self.kind == "address":
            raise Unauthenticated(f"Submitting needs a credential: {HOW_TO_AUTHENTICATE}.")
        raise Forbidden("This key may not submit: it lacks the scope `submit`.")

    def require_submit_for(self, user_id: int) -> None:
        """Refuse who may not submit for this player.

        Raises:
            Unauthenticated, Forbidden: as above, or the token is another player's.
        """
        self.require_submit()
        if self.user_id is not None and self.user_id != user_id:
            raise Forbidden(f"A player's token submits for that player alone, who is {self.user_id}; got {user_id}.")

    def require_read(self) -> None:
        """Refuse who may not read.

        Raises:
            Unauthenticated: there is no credential, and reads are not open.
            Forbidden: the credential is for something else.
        """
        if Scope.READ in self.scopes:
            return
        if self.kind == "address":
            raise Unauthenticated(f"Reading needs a credential here: {HOW_TO_AUTHENTICATE}.")
        raise Forbidden("This key may not read: it lacks the scope `read`.")


def scopes_of(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes of these names; names that this version does not know give nothing."""
    known = set(Scope)
    return frozenset(Scope(name) for name in names if name in known)
