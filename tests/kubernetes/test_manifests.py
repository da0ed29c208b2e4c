"""infra/kubernetes: manifests that Kubernetes takes, and that fit each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import kubernetes_validate
import pytest
import yaml

from app.settings import Settings
from infra.kubernetes.render import render, write_yaml
from infra.kubernetes.values import GIVEN_SETTINGS, Values
from infra.local.postgres import OWNER, SERVICE_ROLE
from tests.kubernetes.manifests import Manifest, everything, example, many, named, of_kind, pods, smallest, strings

CUSTOM = json.loads((Path(__file__).parent / "crds.json").read_text())["kinds"]
# The oldest that the current CloudNativePG supports.
KUBERNETES = "1.34"
EVERY = pytest.mark.parametrize("values", [example(), smallest(), many(12)], ids=["example", "smallest", "12 shards"])


@EVERY
def test_kubernetes_takes_each_manifest(values: Values) -> None:
    written = list(yaml.safe_load_all(write_yaml(everything(values))))
    assert written == everything(values)
    for each in written:
        if each["kind"] in CUSTOM:
            jsonschema.Draft202012Validator(CUSTOM[each["kind"]]).validate(each)
        else:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)
    names = [(each["kind"], each["metadata"]["name"]) for each in written]
    assert len(set(names)) == len(names)


def test_a_field_that_the_operator_does_not_know_is_noticed() -> None:
    cluster = of_kind(everything(example()), "Cluster")[0]
    cluster["spec"]["instance"] = 3
    with pytest.raises(jsonschema.ValidationError, match="'instance' was unexpected"):
        jsonschema.Draft202012Validator(CUSTOM["Cluster"]).validate(cluster)


@EVERY
def test_a_shard_has_its_cluster_and_its_pooler(values: Values) -> None:
    made = everything(values)
    assert [each["metadata"]["name"] for each in of_kind(made, "Cluster")] == [
        f"shardboard-{shard.name}" for shard in values.shards
    ]
    for pooler, shard in zip(of_kind(made, "Pooler"), values.shards, strict=True):
        assert pooler["spec"]["cluster"]["name"] == f"shardboard-{shard.name}"
        assert pooler["spec"]["pgbouncer"]["poolMode"] == "transaction"
        parameters = pooler["spec"]["pgbouncer"]["parameters"]
        together = int(parameters["max_db_connections"]) * values.pgbouncer.instances
        cluster = named(made, "Cluster", f"shardboard-{shard.name}")["spec"]
        assert together <= values.pgbouncer.connections
        assert int(cluster["postgresql"]["parameters"]["max_connections"]) >= together + 40


def test_a_shard_can_do_what_moves_need_and_what_was_promised() -> None:
    cluster = named(everything(example()), "Cluster", "shardboard-shard1")["spec"]
    parameters = cluster["postgresql"]["parameters"]
    assert (parameters["wal_level"], parameters["synchronous_commit"], parameters["fsync"]) == ("logical", "on", "on")
    assert int(parameters["max_replication_slots"]) >= 5 + cluster["instances"]
    assert int(parameters["max_logical_replication_workers"]) >= 4
    assert parameters["shared_buffers"] == "2048MB"
    roles = {role["name"]: role for role in cluster["managed"]["roles"]}
    assert roles.keys() == {OWNER, SERVICE_ROLE}
    assert roles[OWNER]["replication"] is True
    assert roles[OWNER]["inRoles"] == ["pg_create_subscription", "pg_monitor"]
    assert roles[SERVICE_ROLE] == {
        "name": SERVICE_ROLE,
        "ensure": "present",
        "login": True,
        "passwordSecret": {"name": "shardboard-service"},
    }
    assert cluster["enableSuperuserAccess"] is False
    assert cluster["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    assert named(everything(many(3)), "Cluster", "shardboard-shard3")["spec"]["storage"]["size"] == "100Gi"
    assert named(everything(example()), "Cluster", "shardboard-shard3")["spec"]["storage"]["size"] == "200Gi"


def test_another_shard_changes_nothing_of_what_runs() -> None:
    before, after = everything(many(3)), everything(many(4))
    assert [each for each in before if each not in after] == []
    added = [(each["kind"], each["metadata"]["name"]) for each in after if each not in before]
    assert added == [
        ("Cluster", "shardboard-shard4"),
        ("Pooler", "shardboard-shard4-pooler"),
        ("PodDisruptionBudget", "shardboard-shard4-pooler"),
    ]


def test_another_image_is_another_migration() -> None:
    def job(image: str) -> str:
        values = Values(**(example().model_dump(mode="json") | {"image": image}))
        [made] = render(values, ["migration"])
        name: str = made["metadata"]["name"]
        return name

    assert job("registry.example.com/shardboard:0.1.0") == job("registry.example.com/shardboard:0.1.0")
    assert job("registry.example.com/shardboard:0.1.0") != job("registry.example.com/shardboard:0.2.0")


def test_the_parts_are_all_there_is() -> None:
    values = example()
    parts = [*render(values, ["storage"]), *render(values, ["migration"]), *render(values, ["service"])]
    assert parts == everything(values)


@EVERY
def test_selectors_find_what_they_mean(values: Values) -> None:
    made = everything(values)
    found = {name: template["metadata"]["labels"] for name, template in pods(made).items()}
    found |= {
        f"postgres of {each['metadata']['name']}": each["spec"]["inheritedMetadata"]["labels"]
        for each in of_kind(made, "Cluster")
    }
    found |= {
        f"pgbouncer of {each['metadata']['name']}": each["spec"]["template"]["metadata"]["labels"]
        for each in of_kind(made, "Pooler")
    }

    def matches(selector: dict[str, str]) -> list[str]:
        return [name for name, labels in found.items() if selector.items() <= labels.items()]

    for each in of_kind(made, "Deployment", "StatefulSet"):
        assert len(matches(each["spec"]["selector"]["matchLabels"])) == 1, each["metadata"]["name"]
    for each in of_kind(made, "Service"):
        assert len(matches(each["spec"]["selector"])) == 1, each["metadata"]["name"]
    for each in of_kind(made, "PodDisruptionBudget"):
        assert len(matches(each["spec"]["selector"]["matchLabels"])) == 1, each["metadata"]["name"]
    for each in of_kind(made, "PodMonitor"):
        assert matches(each["spec"]["selector"]["matchLabels"]), each["metadata"]["name"]
    policies = {each["metadata"]["name"]: each["spec"]["podSelector"] for each in of_kind(made, "NetworkPolicy")}
    covered = [name for selector in policies.values() for name in matches(selector["matchLabels"])]
    assert sorted(covered) == sorted(found)
    for each in of_kind(made, "HorizontalPodAutoscaler"):
        target = each["spec"]["scaleTargetRef"]
        assert "replicas" not in named(made, target["kind"], target["name"])["spec"]


def secrets_in(value: object) -> Iterator[str]:
    """The name of each Secret that is referenced."""
    if isinstance(value, list):
        for each in value:
            yield from secrets_in(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key == "secretName":
                yield each
            elif key in ("secretKeyRef", "passwordSecret") or (key == "secret" and "name" in each):
                yield each["name"]
            elif key == "imagePullSecrets":
                yield from (secret["name"] for secret in each)
            else:
                yield from secrets_in(each)


@EVERY
def test_everything_that_is_named_is_there(values: Values) -> None:
    made = everything(values)
    given = {name for name in values.secrets.model_dump().values() if name}
    if values.ingress is not None:
        given.add(values.ingress.tls_secret)
    assert set(secrets_in(made)) == given
    assert of_kind(made, "Secret") == []
    config_maps = set(re.findall(r'"(?:configMap|customQueriesConfigMap)": \[?\{"name": "([^"]+)"', json.dumps(made)))
    assert config_maps == {each["metadata"]["name"] for each in of_kind(made, "ConfigMap")}
    for component, template in pods(made).items():
        ports = {port["name"] for container in template["spec"]["containers"] for port in container.get("ports", [])}
        probed = set(re.findall(r'"port": "(\w+)"', json.dumps(template)))
        assert probed <= ports, component
        volumes = {volume["name"] for volume in template["spec"]["volumes"]}
        claims = {"data"} if component == "valkey" else set()
        mounted = {m["name"] for c in template["spec"]["containers"] for m in c.get("volumeMounts", [])}
        assert mounted == volumes | claims, component
    for service in of_kind(made, "Service"):
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        containers = pods(made)[component]["spec"]["containers"]
        ports = {port["name"] for container in containers for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@EVERY
def test_nothing_is_root_or_can_become_it(values: Values) -> None:
    made = everything(values)
    assert made[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for component, template in pods(made).items():
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, component
        assert pod["enableServiceLinks"] is False, component
        assert pod["securityContext"]["runAsNonRoot"] is True, component
        assert pod["securityContext"]["runAsUser"] > 0, component
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, component
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, component
            assert security["readOnlyRootFilesystem"] is True, component
            assert security["capabilities"] == {"drop": ["ALL"]}, component
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, component
            assert container["resources"]["limits"].keys() == {"memory"}, component


def settings_of(template: Manifest, monkeypatch: pytest.MonkeyPatch, keys: Path) -> Settings:
    """What the service makes of a Pod's variables; every secret is its own name."""
    [container] = template["spec"]["containers"]
    seen: dict[str, str] = {}
    for variable in container["env"]:
        # Kubernetes knows those that stand before.
        value = variable.get("value", variable["name"])
        seen[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda name: seen[name[1]], value)
    for name, value in seen.items():
        if name.startswith("SHARDBOARD_"):
            monkeypatch.setenv(name, value.replace("/run/secrets/shardboard", str(keys)))
    return Settings()


@pytest.mark.parametrize("component", ["api", "migrate", "operator"])
def test_every_variable_is_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, component: str) -> None:
    for key in ("server-key", "admin-key"):
        (tmp_path / key).write_text(f"a key that is long: {key}")
        (tmp_path / key).chmod(0o600)
    template = pods(everything(many(5)))[component]
    settings = settings_of(template, monkeypatch, tmp_path)
    names = [variable["name"] for variable in template["spec"]["containers"][0]["env"]]
    known = {f"SHARDBOARD_{field.upper()}" for field in Settings.model_fields}
    assert {name.removesuffix("_FILE") for name in names if name.startswith("SHARDBOARD_")} <= known
    assert {name.removesuffix("_FILE") for name in GIVEN_SETTINGS} <= known
    assert settings.production
    assert [str(network) for network in settings.metrics_networks] == ["10.244.0.0/16"]
    assert settings.server_key is not None
    assert settings.redis_url == "redis://:VALKEY_PASSWORD@shardboard-valkey:6379/0"
    assert [shard.name for shard in settings.shards] == ["shard1", "shard2", "shard3"]
    for shard in settings.shards:
        pooled = urlsplit(shard.url)
        assert (pooled.username, pooled.password, pooled.hostname) == (
            *(SERVICE_ROLE, "SERVICE_PASSWORD"),
            f"shardboard-{shard.name}-pooler",
        )
        if component == "api":
            assert shard.direct_url is None
        else:
            direct = urlsplit(shard.direct_url or "")
            assert (direct.username, direct.password, direct.hostname) == (
                *(OWNER, "OWNER_PASSWORD"),
                f"shardboard-{shard.name}-rw",
            )


def test_what_serves_does_not_know_who_owns() -> None:
    assert [text for text in strings(pods(everything(example()))["api"]) if "owner" in text.lower()] == []


def test_the_api_is_probed_where_it_answers() -> None:
    [container] = pods(everything(example()))["api"]["spec"]["containers"]
    probes = {name: probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    # /health says 503 while no shard answers, which no restart mends.
    assert probes == {"startupProbe": "/health", "readinessProbe": "/health", "livenessProbe": "/"}


def test_who_may_speak_to_whom() -> None:
    made = everything(example())

    def lets_in(component: str) -> dict[str, list[int]]:
        spec = named(made, "NetworkPolicy", f"shardboard-{component}")["spec"]
        found: dict[str, list[int]] = {}
        for rule in spec["ingress"]:
            ports = [port["port"] for port in rule["ports"]]
            for peer in rule.get("from", [{}]):
                expressions = peer.get("podSelector", {}).get("matchExpressions", [])
                who = [name for each in expressions for name in each.get("values", [each["key"]])]
                who += peer.get("namespaceSelector", {}).get("matchLabels", {}).values()
                for name in who or ["everybody"]:
                    found.setdefault(name, []).extend(ports)
        return found

    clients = {"api": [6379], "migrate": [6379], "operator": [6379]}
    assert lets_in("valkey") == clients | {"monitoring": [9121]}
    assert lets_in("pgbouncer") == {"api": [5432], "migrate": [5432], "operator": [5432], "monitoring": [9127]}
    assert lets_in("postgres") == {
        "pgbouncer": [5432],
        "migrate": [5432],
        "operator": [5432],
        "cnpg.io/cluster": [5432, 8000],
        "cnpg-system": [5432, 8000],
        "monitoring": [9187],
    }
    assert lets_in("api") == {"everybody": [8000]}
    assert lets_in("migrate") == lets_in("operator") == {}
