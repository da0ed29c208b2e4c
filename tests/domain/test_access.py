from __future__ import annotations

import pytest

from domain.access import Caller, Scope, scopes_of
from domain.errors import Forbidden, Unauthenticated

ADDRESS = Caller("address", "address:192.0.2.1", frozenset({Scope.READ}), reads_per_minute=60)
SHUT_OUT = Caller("address", "address:192.0.2.1")
SERVER = Caller("key", "key:server", frozenset({Scope.READ, Scope.SUBMIT}))
READER = Caller("key", "key:reader", frozenset({Scope.READ}))
WRITER = Caller("key", "key:writer", frozenset({Scope.SUBMIT}))
PLAYER = Caller("player", "player:42", frozenset({Scope.READ, Scope.SUBMIT}), user_id=42)


def test_who_may_submit_for_a_player() -> None:
    for caller in (SERVER, WRITER, PLAYER):
        caller.require_submit_for(42)
    with pytest.raises(Unauthenticated, match="Submitting needs a credential: send a server key or a player's token"):
        ADDRESS.require_submit_for(42)
    with pytest.raises(Forbidden, match="lacks the scope `submit`"):
        READER.require_submit_for(42)
    with pytest.raises(Forbidden, match="A player's token submits for that player alone, who is 42; got 43"):
        PLAYER.require_submit_for(43)


def test_who_may_read() -> None:
    for caller in (ADDRESS, SERVER, READER, PLAYER):
        caller.require_read()
    with pytest.raises(Unauthenticated, match="Reading needs a credential here"):
        SHUT_OUT.require_read()
    with pytest.raises(Forbidden, match="lacks the scope `read`"):
        WRITER.require_read()


def test_only_who_may_read_without_limit_reads_uncounted() -> None:
    assert [caller.reads_freely for caller in (ADDRESS, SHUT_OUT, SERVER, READER, WRITER)] == [
        *(False, False),
        *(True, True, False),
    ]


def test_a_scope_of_a_newer_version_gives_nothing() -> None:
    assert scopes_of(["read", "fly"]) == {Scope.READ}
