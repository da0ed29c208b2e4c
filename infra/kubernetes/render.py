"""All manifests of a deployment, in the order in which they are applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import yaml

from infra.kubernetes.api import make_api
from infra.kubernetes.manifest import APP, Manifest
from infra.kubernetes.monitoring import make_monitoring
from infra.kubernetes.network import make_policies
from infra.kubernetes.operations import make_migration, make_operator
from infra.kubernetes.shard import make_shard
from infra.kubernetes.valkey import make_valkey
from infra.kubernetes.values import Values

Part = Literal["storage", "migration", "service"]
PARTS: tuple[Part, ...] = get_args(Part)


def render(values: Values, parts: Sequence[Part] = PARTS) -> list[Manifest]:
    """The manifests.

    Args:
        parts: `storage` is what keeps data, and who may reach it; `migration` the Job; `service` what serves.
    """
    made: list[Manifest] = []
    if "storage" in parts:
        made += [_namespace(values), *make_policies(values)]
        if values.monitoring is not None:
            made += make_monitoring(values, values.monitoring)
        for shard in values.shards:
            made += make_shard(values, shard)
        made += [*make_valkey(values), make_operator(values)]
    if "migration" in parts:
        made.append(make_migration(values))
    if "service" in parts:
        made += make_api(values)
    return made


def write_yaml(manifests: Sequence[Manifest]) -> str:
    """As `kubectl apply -f -` reads them."""
    return yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, explicit_start=True, width=120)


def _namespace(values: Values) -> Manifest:
    # Nothing in it may be root, or become it.
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": values.namespace, "labels": {"app.kubernetes.io/name": APP, **enforced}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        # Parts that several manifests share are written out in each.
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _write_text)
