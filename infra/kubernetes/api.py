"""The API: as many Pods as the load asks for, one core each, behind one Service."""

from __future__ import annotations

from infra.kubernetes.manifest import API_PORT, Manifest, labels, manifest, resources, spread
from infra.kubernetes.service_pod import make_container, make_pod
from infra.kubernetes.values import Ingress, Values

NAME = "shardboard-api"
_COMPONENT = "api"
# Until every load balancer knows that a Pod ends, then the requests under way.
_GONE_SECONDS = 5
_GRACE_SECONDS = 20


def make_api(values: Values) -> list[Manifest]:
    """Deployment, Service, autoscaling, what maintenance may take away, and how players come in."""
    found_by = labels(_COMPONENT)
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    made = [
        manifest(values, "apps/v1", "Deployment", NAME, found_by, spec=_deployment(values, found_by)),
        manifest(values, "v1", "Service", NAME, found_by, spec={"selector": found_by, "ports": ports}),
        manifest(values, "autoscaling/v2", "HorizontalPodAutoscaler", NAME, found_by, spec=_scaling(values)),
        manifest(
            *(values, "policy/v1", "PodDisruptionBudget", NAME, found_by),
            spec={"maxUnavailable": 1, "selector": {"matchLabels": found_by}},
        ),
    ]
    if values.ingress is not None:
        made.append(manifest(values, "networking.k8s.io/v1", "Ingress", NAME, found_by, spec=_ingress(values.ingress)))
    return made


def _deployment(values: Values, found_by: dict[str, str]) -> Manifest:
    health = {"httpGet": {"path": "/health", "port": "http"}, "timeoutSeconds": 3}
    container = make_container(
        *(values, "api"),
        owner=False,
        args=["serve"],
        ports=[{"name": "http", "containerPort": API_PORT}],
        resources=resources(values.api.cpu, values.api.memory),
        # /health asks every part, and says 503 while no shard answers: no reason to start the process again, which
        # would only lose what it has in memory. The page needs no part, only a process that is alive.
        startupProbe={**health, "periodSeconds": 2, "failureThreshold": 60},
        readinessProbe={**health, "periodSeconds": 5, "failureThreshold": 2},
        livenessProbe={
            "httpGet": {"path": "/", "port": "http"},
            "timeoutSeconds": 5,
            "periodSeconds": 10,
            "failureThreshold": 6,
        },
        lifecycle={"preStop": {"exec": {"command": ["sleep", str(_GONE_SECONDS)]}}},
    )
    pod = make_pod(
        *(values, [container]),
        terminationGracePeriodSeconds=_GONE_SECONDS + _GRACE_SECONDS,
        topologySpreadConstraints=spread(found_by),
    )
    return {
        # Without `replicas`: they are the autoscaler's.
        "selector": {"matchLabels": found_by},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "minReadySeconds": 5,
        "revisionHistoryLimit": 5,
        "template": {"metadata": {"labels": found_by}, "spec": pod},
    }


def _scaling(values: Values) -> Manifest:
    api = values.api
    target = {"type": "Utilization", "averageUtilization": api.cpu_target_percent}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
        "minReplicas": api.replicas_min,
        "maxReplicas": api.replicas_max,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        # Up at once; down slowly, because every Pod that ends sends its watchers to the others.
        "behavior": {
            "scaleDown": {
                "stabilizationWindowSeconds": 600,
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
            }
        },
    }


def _ingress(ingress: Ingress) -> Manifest:
    backend = {"service": {"name": NAME, "port": {"name": "http"}}}
    spec: Manifest = {
        "tls": [{"hosts": [ingress.host], "secretName": ingress.tls_secret}],
        "rules": [{"host": ingress.host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
    }
    return spec | ({"ingressClassName": ingress.class_name} if ingress.class_name else {})
