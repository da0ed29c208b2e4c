"""docker-compose.yml: that it is whole, and says the same as the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = str(Path(sys.executable).parent / "docker-compose")
SECRETS = ("POSTGRES_PASSWORD", "SHARD_PASSWORD", "VALKEY_PASSWORD", "SERVER_KEY", "ADMIN_KEY")
SHARDS = ("shard1", "shard2", "shard3", "shard4")


def run_compose(directory: Path, secrets: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    env_file = directory / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    command = [COMPOSE, "--project-directory", str(ROOT), "--env-file", str(env_file), "config", *arguments]
    # Nothing of this shell's variables may fill in what is missing.
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin", "HOME": "/"})


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    answer = run_compose(
        tmp_path_factory.mktemp("compose"), {name: f"secret-of-{name}" for name in SECRETS}, "--format", "json"
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    found: dict[str, Any] = json.loads(answer.stdout)["services"]
    return found


@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_is_named(tmp_path: Path, missing: str) -> None:
    answer = run_compose(tmp_path, {name: "x" for name in SECRETS if name != missing}, "--quiet")
    assert answer.returncode == 1
    assert f"required variable {missing} is missing a value: set it in .env, see .env.example" in answer.stderr


def test_the_example_names_every_secret_and_holds_none() -> None:
    example = (ROOT / ".env.example").read_text()
    assert re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE) == [(name, "") for name in SECRETS]
    asked_for = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert asked_for == {*SECRETS, "PORT"}


def test_every_service_is_there(services: dict[str, Any]) -> None:
    expected = {f"{part}-{number}" for part in ("postgres", "pgbouncer") for number in (1, 2, 3, 4)}
    assert set(services) == expected | {"valkey", "migrate", "api-1", "api-2", "proxy"}


@pytest.mark.parametrize("name", ["api-1", "api-2", "migrate"])
def test_every_variable_is_a_setting(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    variables = services[name]["environment"]
    known = {f"SHARDBOARD_{field.upper()}" for field in Settings.model_fields}
    assert variables.keys() <= known
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    settings = Settings()
    assert tuple(shard.name for shard in settings.shards) == SHARDS
    assert settings.redis_url == "redis://:secret-of-VALKEY_PASSWORD@valkey:6379/0"
    assert settings.server_key is not None
    assert settings.server_key.get_secret_value() == "secret-of-SERVER_KEY"
    assert settings.admin_key is not None
    assert settings.admin_key.get_secret_value() == "secret-of-ADMIN_KEY"


def test_each_shard_is_reached_through_its_own_pgbouncer(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in services["api-1"]["environment"].items():
        monkeypatch.setenv(variable, value)
    for shard in Settings().shards:
        pooled, direct = urlsplit(shard.url), urlsplit(shard.direct_url)
        assert pooled.hostname
        assert direct.hostname
        assert (pooled.port, direct.port) == (6432, 5432)
        assert services[pooled.hostname]["environment"]["POSTGRES_HOST"] == direct.hostname
        assert services[pooled.hostname]["environment"]["SHARD_PASSWORD"] == pooled.password == direct.password
        assert services[direct.hostname]["environment"]["SHARD_PASSWORD"] == direct.password
    bouncers = [service for name, service in services.items() if name.startswith("pgbouncer-")]
    assert len({bouncer["environment"]["POSTGRES_HOST"] for bouncer in bouncers}) == len(SHARDS)


def test_what_must_last_lies_on_named_volumes(services: dict[str, Any]) -> None:
    volumes = [
        (name, volume["source"], volume["target"])
        for name, service in services.items()
        for volume in service.get("volumes", [])
        if volume["type"] == "volume"
    ]
    expected = [(f"postgres-{n}", f"postgres-{n}", "/var/lib/postgresql") for n in (1, 2, 3, 4)]
    assert sorted(volumes) == [*expected, ("valkey", "valkey", "/data")]


def test_images_are_fixed_and_mounted_files_exist(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if "build" not in service:
            assert re.fullmatch(r"[\w./-]+:\d+\.\d+(\.\d+)?-alpine", service["image"]), name
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert Path(volume["source"]).is_file(), name
                assert volume["read_only"], name


def test_everything_that_stays_is_watched(services: dict[str, Any]) -> None:
    # The images of the service and of PgBouncer bring their check along.
    assert services["migrate"]["restart"] == "no"
    for name, service in services.items():
        if name != "migrate":
            assert service["restart"] == "unless-stopped", name
            assert "healthcheck" in service or "build" in service, name
