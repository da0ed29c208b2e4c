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

from app.settings import Settings, ShardAddress
from infra.local.postgres import OWNER, SERVICE_ROLE

ROOT = Path(__file__).parents[2]
COMPOSE = str(Path(sys.executable).parent / "docker-compose")
SECRETS = ("POSTGRES_PASSWORD", "SHARD_PASSWORD", "SERVICE_PASSWORD", "VALKEY_PASSWORD", "SERVER_KEY", "ADMIN_KEY")
# Of those who only look, needed with the profile `monitoring` alone.
LOOKING = ("MONITOR_PASSWORD", "GRAFANA_PASSWORD")
SHARDS = ("shard1", "shard2", "shard3", "shard4")


def run_compose(directory: Path, secrets: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    env_file = directory / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    command = [COMPOSE, "--project-directory", str(ROOT), "--env-file", str(env_file), *arguments]
    # Nothing of this shell's variables may fill in what is missing.
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin", "HOME": "/"})


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything, the profile `monitoring` included."""
    secrets = {name: f"secret-of-{name}" for name in (*SECRETS, *LOOKING)}
    options = ("--profile", "monitoring", "config", "--format", "json")
    answer = run_compose(tmp_path_factory.mktemp("compose"), secrets, *options)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.fixture(scope="module")
def services(composed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = composed["services"]
    return found


@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_is_named(tmp_path: Path, missing: str) -> None:
    answer = run_compose(tmp_path, {name: "x" for name in SECRETS if name != missing}, "config", "--quiet")
    assert answer.returncode == 1
    assert f"required variable {missing} is missing a value: set it in .env, see .env.example" in answer.stderr


def test_the_example_names_every_secret_and_holds_none() -> None:
    example = (ROOT / ".env.example").read_text()
    assert re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE) == [(name, "") for name in (*SECRETS, *LOOKING)]
    asked_for = set(re.findall(r"(?<!\$)\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert asked_for == {*SECRETS, *LOOKING, "PORT", "MONITORING_ADDRESS", "PROMETHEUS_PORT", "GRAFANA_PORT"}


def test_every_service_is_there(tmp_path: Path) -> None:
    answer = run_compose(tmp_path, dict.fromkeys(SECRETS, "x"), "config", "--services")
    expected = {f"{part}-{number}" for part in ("postgres", "pgbouncer") for number in (1, 2, 3, 4)}
    assert set(answer.stdout.split()) == expected | {"valkey", "roles", "migrate", "api-1", "api-2", "proxy"}
    assert answer.stderr == ""


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


def shards_of(services: dict[str, Any], name: str) -> list[ShardAddress]:
    shards = json.loads(services[name]["environment"]["SHARDBOARD_SHARDS"])
    return [ShardAddress(**shard) for shard in shards]


def test_each_shard_is_reached_through_its_own_pgbouncer(services: dict[str, Any]) -> None:
    for shard in shards_of(services, "migrate"):
        pooled, direct = urlsplit(shard.url), urlsplit(shard.direct_url or "")
        assert pooled.hostname
        assert direct.hostname
        assert (pooled.port, direct.port) == (6432, 5432)
        assert (pooled.username, direct.username) == (SERVICE_ROLE, OWNER)
        assert (pooled.password, direct.password) == ("secret-of-SERVICE_PASSWORD", "secret-of-SHARD_PASSWORD")
        assert services[pooled.hostname]["environment"] == {
            "POSTGRES_HOST": direct.hostname,
            "SERVICE_PASSWORD": pooled.password,
            "MONITOR_PASSWORD": "secret-of-MONITOR_PASSWORD",
        }
    bouncers = [service for name, service in services.items() if re.fullmatch(r"pgbouncer-\d", name)]
    assert len({bouncer["environment"]["POSTGRES_HOST"] for bouncer in bouncers}) == len(SHARDS)
    made = services["roles"]["environment"]
    assert made["POSTGRES_HOSTS"].split() == [f"postgres-{number}" for number in (1, 2, 3, 4)]


def test_what_serves_knows_the_password_of_the_service_and_no_other(services: dict[str, Any]) -> None:
    for name in ("api-1", "api-2"):
        shards = shards_of(services, name)
        assert [(shard.name, shard.url) for shard in shards] == [
            (shard.name, shard.url) for shard in shards_of(services, "migrate")
        ]
        assert [shard.direct_url for shard in shards] == [None] * 4
    holders = {
        secret: {name for name, service in services.items() if f"secret-of-{secret}" in json.dumps(service)}
        for secret in ("POSTGRES_PASSWORD", "SHARD_PASSWORD")
    }
    assert holders == {
        "POSTGRES_PASSWORD": {"roles", *(f"postgres-{number}" for number in (1, 2, 3, 4))},
        "SHARD_PASSWORD": {"roles", "migrate"},
    }


def test_no_secret_is_among_the_arguments_of_a_program(services: dict[str, Any]) -> None:
    for name, service in services.items():
        shown = [service.get("command"), service.get("entrypoint"), service.get("healthcheck")]
        assert "secret-of-" not in json.dumps(shown), name


def test_no_container_is_root_or_can_become_it(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else []), name
        assert not service.get("privileged"), name
        # Our own images name their user themselves.
        assert ("user" in service) != ("build" in service), name
        assert service.get("user") not in ("root", "0", "0:0"), name
        for volume in service.get("volumes", []):
            assert "docker.sock" not in volume["source"], name


def test_our_images_are_not_root_either() -> None:
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    final = {stage.split()[2]: stage for stage in stages if re.match(r"\S+ AS (service|pgbouncer)\b", stage)}
    assert {name: re.findall(r"^USER (.+)$", stage, re.MULTILINE) for name, stage in final.items()} == {
        "service": ["10001"],
        "pgbouncer": ["10002"],
    }


def test_only_the_network_of_the_proxy_is_believed(composed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert composed["networks"].keys() == {"default"}
    [pool] = composed["networks"]["default"]["ipam"]["config"]
    for name in ("api-1", "api-2"):
        service = composed["services"][name]
        assert service["networks"].keys() == composed["services"]["proxy"]["networks"].keys() == {"default"}
        # Whoever reached an API past the proxy could make up an address.
        assert "ports" not in service
        for variable, value in service["environment"].items():
            monkeypatch.setenv(variable, value)
        assert [str(network) for network in Settings().trusted_proxies] == [pool["subnet"]]
        # Of these the proxy lets nobody in: tests/deploy/test_proxy.py.
        assert [str(network) for network in Settings().metrics_networks] == [pool["subnet"]]


def test_what_must_last_lies_on_named_volumes(services: dict[str, Any]) -> None:
    volumes = [
        (name, volume["source"], volume["target"])
        for name, service in services.items()
        for volume in service.get("volumes", [])
        if volume["type"] == "volume"
    ]
    expected = [(f"postgres-{n}", f"postgres-{n}", "/var/lib/postgresql") for n in (1, 2, 3, 4)]
    looking = [("grafana", "grafana", "/var/lib/grafana"), ("prometheus", "prometheus", "/prometheus")]
    assert sorted(volumes) == sorted([*expected, *looking, ("valkey", "valkey", "/data")])


def test_images_are_fixed_and_mounted_files_exist(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if "build" not in service:
            assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-alpine)?", service["image"]), name
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), name
                assert volume["read_only"], name


def test_everything_that_stays_is_watched(services: dict[str, Any]) -> None:
    # The images of the service and of PgBouncer bring their check along.
    assert services["migrate"]["restart"] == services["roles"]["restart"] == "no"
    for name, service in services.items():
        if name not in ("migrate", "roles"):
            assert service["restart"] == "unless-stopped", name
            assert "healthcheck" in service or "build" in service, name
