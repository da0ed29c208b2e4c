"""What follows from the variables of a process."""

from __future__ import annotations

import pytest

from app.settings import Settings

SHARDS = '[{"name": "shard1", "url": "postgresql://a@b/c", "direct_url": "postgresql://a@b/c"}]'
KEY = "a server key of tests"


@pytest.mark.parametrize(
    ("try_out", "server_key", "page_key"), [("true", KEY, KEY), ("false", KEY, None), ("true", None, None)]
)
def test_pages_get_the_server_key_in_a_local_set_up_alone(
    monkeypatch: pytest.MonkeyPatch, try_out: str, server_key: str | None, page_key: str | None
) -> None:
    monkeypatch.setenv("SHARDBOARD_SHARDS", SHARDS)
    monkeypatch.setenv("SHARDBOARD_TRY_OUT", try_out)
    monkeypatch.setenv("SHARDBOARD_ADMIN_KEY", "an admin key of tests")
    monkeypatch.delenv("SHARDBOARD_SERVER_KEY", raising=False)
    if server_key is not None:
        monkeypatch.setenv("SHARDBOARD_SERVER_KEY", server_key)
    assert Settings().page_key == page_key
