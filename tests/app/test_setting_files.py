"""Settings that stand in files."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from app.settings import Settings, load_settings, names_deployment
from domain.errors import OperatorError
from infra.local.cluster import LocalCluster
from tests.cli.shell import shardboard

SHARDS = json.dumps([{"name": "shard1", "url": "postgresql://a:hush@b/c"}])


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SHARDBOARD_{name.upper()}", raising=False)


def write(path: Path, text: str, mode: int = 0o600) -> str:
    path.touch(mode)
    path.chmod(mode)
    path.write_text(text)
    return str(path)


KEY = "a key of a server"


@pytest.mark.parametrize(
    ("text", "value"),
    [(f"{KEY}\n", KEY), (KEY, KEY), (f"{KEY}\n\n", f"{KEY}\n"), (f" {KEY} \r\n", f" {KEY} ")],
)
def test_a_file_is_as_good_as_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, value: str
) -> None:
    monkeypatch.setenv("SHARDBOARD_SHARDS_FILE", write(tmp_path / "shards", SHARDS + "\n"))
    monkeypatch.setenv("SHARDBOARD_SERVER_KEY_FILE", write(tmp_path / "key", text))
    monkeypatch.setenv("SHARDBOARD_POOL_SIZE_FILE", write(tmp_path / "size", "7\n"))
    monkeypatch.setenv("SHARDBOARD_REDIS_URL_FILE", write(tmp_path / "redis", "redis://:hush@r:1/0\n"))
    assert names_deployment()
    settings = load_settings()
    assert [(shard.name, shard.url) for shard in settings.shards] == [("shard1", "postgresql://a:hush@b/c")]
    assert settings.server_key is not None
    assert settings.server_key.get_secret_value() == value
    assert (settings.pool_size, settings.redis_url, settings.admin_key) == (7, "redis://:hush@r:1/0", None)


def test_every_setting_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARDBOARD_SHARDS", SHARDS)
    for name in Settings.model_fields.keys() - {"shards"}:
        file = write(tmp_path / name, "no value of this setting, nor JSON {")
        monkeypatch.setenv(f"SHARDBOARD_{name.upper()}_FILE", file)
        taken = None
        try:
            taken = getattr(load_settings(), name)
        except OperatorError as refused:
            assert f"SHARDBOARD_{name.upper()}: " in str(refused)  # noqa: PT017
        assert taken is None or "no value" in str(getattr(taken, "get_secret_value", lambda taken=taken: taken)())
        monkeypatch.delenv(f"SHARDBOARD_{name.upper()}_FILE")


def test_both_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARDBOARD_SHARDS", SHARDS)
    monkeypatch.setenv("SHARDBOARD_SHARDS_FILE", write(tmp_path / "shards", SHARDS))
    with pytest.raises(OperatorError, match=r"^SHARDBOARD_SHARDS and SHARDBOARD_SHARDS_FILE are both set; keep one"):
        load_settings()
    # An empty variable is none, as Compose leaves them.
    monkeypatch.setenv("SHARDBOARD_SHARDS", "")
    assert load_settings().shards[0].name == "shard1"


@pytest.mark.parametrize(
    ("text", "why"), [(None, "cannot be read: No such file or directory"), (b"\xff", "is no text in UTF-8")]
)
def test_a_file_that_is_not_there_or_no_text_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes | None, why: str
) -> None:
    path = tmp_path / "key"
    if text is not None:
        path.write_bytes(text)
    monkeypatch.setenv("SHARDBOARD_SHARDS", SHARDS)
    monkeypatch.setenv("SHARDBOARD_ADMIN_KEY_FILE", str(path))
    with pytest.raises(OperatorError, match=f"^SHARDBOARD_ADMIN_KEY_FILE={path} {why}"):
        load_settings()


def test_a_file_for_everybody_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    open_to_all = write(tmp_path / "open", KEY, 0o644)
    monkeypatch.setenv("SHARDBOARD_SHARDS_FILE", write(tmp_path / "closed", SHARDS))
    monkeypatch.setenv("SHARDBOARD_SERVER_KEY_FILE", open_to_all)
    with caplog.at_level(logging.WARNING):
        load_settings()
    assert [record.getMessage() for record in caplog.records] == [
        f"SHARDBOARD_SERVER_KEY_FILE={open_to_all} may be read by everybody on this machine: chmod o= {open_to_all}"
    ]
    monkeypatch.setattr("app.setting_files._MOUNTED_SECRETS", tmp_path)
    caplog.clear()
    load_settings()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("shards", "why"),
    [
        ('[{"name": "shard1", "url": "hush"', "SHARDBOARD_SHARDS: this is no JSON"),
        ('[{"name": "", "url": "hush"}]', "SHARDBOARD_SHARDS: 0.name: String should have at least 1 character"),
        ('[{"name": "shard1", "urls": "hush"}]', "SHARDBOARD_SHARDS: 0.url: Field required"),
        ("[]", "SHARDBOARD_SHARDS: List should have at least 1 item"),
    ],
)
def test_what_is_wrong_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, shards: str, why: str) -> None:
    monkeypatch.setenv("SHARDBOARD_SHARDS", shards)
    with pytest.raises(OperatorError) as refused:
        load_settings()
    assert why in str(refused.value)
    assert "hush" not in str(refused.value)
    assert refused.value.__cause__ is refused.value.__context__ is None


async def test_the_command_line_finds_a_deployment_by_a_file(clean: LocalCluster, tmp_path: Path) -> None:
    shards = [{"name": shard.name, "url": shard.url, "direct_url": shard.direct_url} for shard in clean.shards]
    env = {"SHARDBOARD_SHARDS_FILE": write(tmp_path / "shards", json.dumps(shards))}
    done = await shardboard(None, "shards", "list", "--json", env=env)
    assert (done.code, done.err) == (0, "")
    assert [shard["health"] for shard in done.json["shards"]] == ["ok"] * 4
