"""What an operator needs beside what serves: the migration, and a place to run `shardboard` in."""

from __future__ import annotations

import hashlib
import json

from infra.kubernetes.manifest import Manifest, labels, manifest, resources
from infra.kubernetes.service_pod import make_container, make_pod
from infra.kubernetes.values import Values

OPERATOR = "shardboard-operator"
_MIGRATE = "shardboard-migrate"


def make_migration(values: Values) -> Manifest:
    """The Job that brings every shard to the schema of the image.

    A Job cannot be changed, so its name ends with what it is made from: the same values are the same Job.
    """
    found_by = labels("migrate")
    container = make_container(*(values, "migrate"), owner=True, args=["migrate"], resources=resources("100m", "256Mi"))
    pod = make_pod(values, [container], restartPolicy="OnFailure")
    spec = {
        # While PostgreSQL is still being made it fails and is tried again, with growing pauses.
        "backoffLimit": 12,
        "activeDeadlineSeconds": 3600,
        "template": {"metadata": {"labels": found_by}, "spec": pod},
    }
    content = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:8]
    return manifest(values, "batch/v1", "Job", f"{_MIGRATE}-{content}", found_by, spec=spec)


def make_operator(values: Values) -> Manifest:
    """A Deployment of no Pods: scaled to one, it is where `kubectl exec` runs `shardboard` as the tables' owner."""
    found_by = labels("operator")
    container = make_container(
        *(values, "operator"), owner=True, command=["sleep", "infinity"], resources=resources("100m", "512Mi")
    )
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": found_by},
        "strategy": {"type": "Recreate"},
        "template": {
            "metadata": {"labels": found_by},
            "spec": make_pod(values, [container], terminationGracePeriodSeconds=1),
        },
    }
    return manifest(values, "apps/v1", "Deployment", OPERATOR, found_by, spec=spec)
