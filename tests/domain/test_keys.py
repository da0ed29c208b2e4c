from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.access import Scope
from domain.keys import ApiKey, KeyKind, hash_key, key_id_of, make_key_text, merge_keys

NOW = datetime(2026, 11, 24, tzinfo=UTC)
KEY = ApiKey("abcdefghijkm", "server", "tests", bytes(32), frozenset({Scope.SUBMIT}), 0, 0, NOW)


@pytest.mark.parametrize("kind", ["server", "admin"])
def test_a_key_tells_its_kind_and_id_and_is_never_made_twice(kind: KeyKind) -> None:
    made = [make_key_text(kind) for _ in range(100)]
    assert len({text for _, text in made}) == len({id_ for id_, _ in made}) == 100
    for id_, text in made:
        assert text.startswith(f"sb_{kind}_{id_}_")
        assert len(text) == len(f"sb_{kind}_") + 12 + 1 + 43
        assert key_id_of(text) == id_
        assert hash_key(text) == hashlib.sha256(text.encode()).digest()


@pytest.mark.parametrize("text", ["", "sb_server_abc_x", "sb_owner_abcdefghijkm_" + "x" * 43, "sb_server_\ud800"])
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert key_id_of(text) is None
    assert len(hash_key(text)) == 32


def test_the_state_of_a_key() -> None:
    assert KEY.state(NOW) == "active"
    assert replace(KEY, expires_at=NOW + timedelta(seconds=1)).state(NOW) == "active"
    assert replace(KEY, expires_at=NOW).state(NOW) == "expired"
    assert replace(KEY, revoked_at=NOW, expires_at=NOW).state(NOW) == "revoked"


def test_one_shard_that_knows_of_a_revocation_is_enough() -> None:
    revoked = replace(KEY, revoked_at=NOW)
    other = replace(KEY, id="zyxwvutsrqpn")
    assert (
        merge_keys([KEY, other], [revoked]) == merge_keys([revoked], [other, KEY]) == {KEY.id: revoked, other.id: other}
    )
