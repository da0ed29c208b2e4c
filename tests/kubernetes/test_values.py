"""What an operator can get wrong in the values, and what he is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from domain.errors import OperatorError
from infra.kubernetes.values import read_values
from tests.kubernetes.manifests import EXAMPLE

ROOT = EXAMPLE.parents[2]
GOOD = {"image": "registry.example.com/shardboard:0.1.0", "shards": [{"name": "shard1"}]}


def refusal(tmp_path: Path, text: str) -> str:
    file = tmp_path / "values.yaml"
    file.write_text(text)
    with pytest.raises(OperatorError) as refused:
        read_values(file)
    return str(refused.value).removeprefix(f"{file}: ").removeprefix(f"{file} ")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image": "shardboard:latest"}, "image: 'shardboard:latest' does not say which one; end it with a version"),
        ({"image": "registry:5000/shardboard"}, "image: 'registry:5000/shardboard' does not say which one"),
        ({"shards": []}, "shards: list should have at least 1 item"),
        ({"shards": [{"name": "shard1"}, {"name": "shard1"}]}, "shards: shard1 is there more than once"),
        ({"shards": [{"name": "Shard_1"}]}, "shards.0.name: 'Shard_1' is no value of this kind"),
        ({"shards": [{"name": "shard1", "added": True}]}, "shards: one at least has to be there from the beginning"),
        ({"replicas": 3}, "replicas: 3 is no name of a value; look for a slip"),
        ({"postgres": {"memory": "8 GB"}}, "postgres.memory: '8 GB' is no size; write it as 512Mi, 8Gi or 1Ti"),
        ({"postgres": {"cpu": "four"}}, "postgres.cpu: 'four' is no number of cores; write it as 4 or 500m"),
        ({"postgres": {"instances": 0}}, "postgres.instances: input should be greater than or equal to 1"),
        ({"postgres": {"wal_storage": "5Gi"}}, "postgres: wal_storage: 5Gi is too little; slots keep up to 8 GB"),
        ({"api": {"replicas_min": 5, "replicas_max": 2}}, "api: replicas_max must not be less than replicas_min"),
        ({"api": {"settings": {"LOG": "x"}}}, "api: settings: LOG is no SHARDBOARD_… variable"),
        (
            {"api": {"settings": {"SHARDBOARD_PORT": "80"}}},
            "api: settings: SHARDBOARD_PORT is made from the other values",
        ),
        ({"monitoring": {"namespace": "monitoring"}}, "monitoring.networks: is missing"),
    ],
)
def test_a_wrong_value_is_named_with_what_to_do(tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    assert refusal(tmp_path, yaml.safe_dump(GOOD | wrong)).startswith(said)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    said = refusal(tmp_path, yaml.safe_dump({"shards": [{"name": "shard1", "memory": "1"}], "pgbouncer": {"cpu": "x"}}))
    assert said == (
        "image: is missing; shards.0.memory: '1' is no size; write it as 512Mi, 8Gi or 1Ti; "
        "pgbouncer.cpu: 'x' is no number of cores; write it as 4 or 500m"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no values; begin with a copy of infra/kubernetes/values.example.yaml."),
        ("- shard1", "holds no values"),
        ("image: [", "is no YAML: while parsing a flow node"),
        ("1: 2", "names of values are words."),
    ],
)
def test_a_file_that_holds_no_values_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(tmp_path, text).startswith(said)


def test_cores_may_be_written_as_a_number(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(GOOD | {"postgres": {"cpu": 2}, "api": {"cpu": 0.5}}))
    assert (read_values(file).postgres.cpu, read_values(file).api.cpu) == ("2", "0.5")


def test_the_example_says_what_holds_when_nothing_is_said() -> None:
    shown = read_values(EXAMPLE).model_dump()
    silent = type(read_values(EXAMPLE))(**GOOD).model_dump()
    for name in ("namespace", "pgbouncer", "valkey", "postgres", "secrets", "operator_namespace"):
        assert shown[name] == silent[name], name


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli.main", "kubernetes", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_writes_what_kubectl_reads(tmp_path: Path) -> None:
    answer = run(EXAMPLE, "--part", "migration")
    assert (answer.returncode, answer.stderr) == (0, "")
    [job] = yaml.safe_load_all(answer.stdout)
    assert job["kind"] == "Job"
    missing = run(tmp_path / "nothing.yaml")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == f"shardboard: {tmp_path / 'nothing.yaml'} cannot be read: No such file or directory.\n"
