"""docker-compose.yml's profile `monitoring`: that who looks may do no more, and Prometheus looks at all there is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_compose import LOOKING, ROOT, SECRETS, SHARDS, run_compose

NUMBERS = range(1, len(SHARDS) + 1)


@pytest.fixture(scope="module")
def looking(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The services of the profile, by name."""
    secrets = {name: f"secret-of-{name}" for name in (*SECRETS, *LOOKING)}
    options = ("--profile", "monitoring", "config", "--format", "json")
    answer = run_compose(tmp_path_factory.mktemp("compose"), secrets, *options)
    services: dict[str, Any] = json.loads(answer.stdout)["services"]
    return {name: service for name, service in services.items() if service.get("profiles") == ["monitoring"]}


def test_every_part_has_its_exporter(looking: dict[str, Any]) -> None:
    exporters = {f"{part}-exporter-{number}" for part in ("postgres", "pgbouncer") for number in NUMBERS}
    assert looking.keys() == exporters | {"redis-exporter", "prometheus", "grafana"}
    for number in NUMBERS:
        postgres = looking[f"postgres-exporter-{number}"]["environment"]
        assert postgres["DATA_SOURCE_URI"] == f"postgres-{number}:5432/shardboard?sslmode=disable"
        pgbouncer = looking[f"pgbouncer-exporter-{number}"]["environment"]["PGBOUNCER_EXPORTER_CONNECTION_STRING"]
        assert pgbouncer == (
            f"postgresql://shardboard_monitor:secret-of-MONITOR_PASSWORD@pgbouncer-{number}:6432/pgbouncer?sslmode=disable"
        )


def test_who_looks_has_no_other_password(looking: dict[str, Any]) -> None:
    for name, service in looking.items():
        told = {secret for secret in (*SECRETS, *LOOKING) if f"secret-of-{secret}" in json.dumps(service)}
        expected = {"grafana": {"GRAFANA_PASSWORD"}, "prometheus": set[str]()}.get(name, {"MONITOR_PASSWORD"})
        assert told == expected, name


def test_pages_are_on_this_machine_alone(looking: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in looking.items() if "ports" in service}
    assert {name: [(port["host_ip"], port["published"]) for port in each] for name, each in ports.items()} == {
        "prometheus": [("127.0.0.1", "9090")],
        "grafana": [("127.0.0.1", "3000")],
    }


def test_prometheus_looks_at_all_of_them(looking: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "infra" / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["static_configs"] for job in config["scrape_configs"]}
    for part, port in (("postgres", 9187), ("pgbouncer", 9127)):
        assert jobs[part] == [
            {"targets": [f"{part}-exporter-{number}:{port}"], "labels": {"shard": shard}}
            for number, shard in zip(NUMBERS, SHARDS, strict=True)
        ]
    targets = [target for configs in jobs.values() for config in configs for target in config["targets"]]
    named = {target.split(":")[0] for target in targets}
    assert named == looking.keys() - {"grafana", "prometheus"} | {"api-1", "api-2", "127.0.0.1"}
    assert {
        name: service["environment"]["EXPORTER_PORT"] for name, service in looking.items() if "exporter" in name
    } == {target.split(":")[0]: target.split(":")[1] for target in targets if "exporter" in target}


@pytest.mark.parametrize("name", ["postgres-exporter-1", "pgbouncer-exporter-1", "redis-exporter", "grafana"])
def test_a_missing_password_is_said_by_who_needs_it(looking: dict[str, Any], name: str) -> None:
    shell, option, script = looking[name]["entrypoint"]
    # Compose keeps a `$` that is meant for the container doubled.
    answer = subprocess.run([shell, option, script.replace("$$", "$")], capture_output=True, text=True, env={})
    assert answer.returncode != 0
    asked_for = "GRAFANA_PASSWORD" if name == "grafana" else "MONITOR_PASSWORD"
    assert asked_for in answer.stderr
    assert "in .env, see .env.example" in answer.stderr


def test_files_lie_where_they_are_looked_for(looking: dict[str, Any]) -> None:
    mounted = {volume["target"]: Path(volume["source"]) for volume in looking["grafana"]["volumes"]}
    provider = yaml.safe_load((mounted["/etc/grafana/provisioning"] / "dashboards" / "shardboard.yml").read_text())
    dashboards = mounted[provider["providers"][0]["options"]["path"]]
    assert [path.name for path in dashboards.iterdir()] == ["shardboard.json"]
    home = Path(looking["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (dashboards / home.name).is_file()
    assert mounted["/usr/share/grafana/public/runbooks"] == ROOT / "docs" / "runbooks"
    source = yaml.safe_load((mounted["/etc/grafana/provisioning"] / "datasources" / "prometheus.yml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
