"""The service under New Relic's agent, which reads our file with its own code; it reaches no network here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.local.child import Child
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from tests.apis import clients_of, serve_spec, until_ranks_are_whole

INI = Path(__file__).parents[2] / "infra" / "newrelic" / "newrelic.ini"
# In developer mode the agent does all but send.
AGENT = {
    "NEW_RELIC_CONFIG_FILE": str(INI),
    "NEW_RELIC_LICENSE_KEY": "0" * 40,
    "NEW_RELIC_APP_NAME": "boards",
    "NEW_RELIC_DEVELOPER_MODE": "true",
}
# The agent's settings belong to the process.
READ = """
import json
from newrelic.config import initialize
from newrelic.core.attribute_filter import DST_ALL
from newrelic.core.config import finalize_application_settings, flatten_settings, global_settings

initialize(ignore_errors=False)
settings = finalize_application_settings(settings=global_settings())
names = ["request.uri", "request.parameters.query", "request.headers.authorization", "request.method"]
flat = {name: value for name, value in flatten_settings(settings).items() if isinstance(value, (bool, str, int))}
print(json.dumps([flat, [name for name in names if settings.attribute_filter.apply(name, DST_ALL)]]))
"""


def read_settings(**variables: str) -> tuple[dict[str, Any], list[str]]:
    """The agent's settings, and which of some attributes it would send."""
    done = subprocess.run(
        [sys.executable, "-c", READ], env=os.environ | AGENT | variables, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    settings, sent = json.loads(done.stdout.splitlines()[-1])
    return settings, sent


@pytest.mark.parametrize("high_security", [False, True])
def test_the_agent_reads_our_file(high_security: bool) -> None:
    settings, sent = read_settings(NEW_RELIC_HIGH_SECURITY=str(high_security).lower())
    assert sent == ["request.method"]
    assert {name: settings.get(name) for name in EXPECTED} == EXPECTED
    assert settings["high_security"] is high_security


EXPECTED = {
    "app_name": "boards",
    "enabled": True,
    "distributed_tracing.enabled": True,
    "transaction_tracer.record_sql": "obfuscated",
    "strip_exception_messages.enabled": True,
    "slow_sql.enabled": False,
    "custom_insights_events.enabled": False,
    "application_logging.forwarding.enabled": False,
    "browser_monitoring.enabled": False,
    "opentelemetry.enabled": False,
}


async def test_the_service_runs_under_the_agent(clean: LocalCluster) -> None:
    spec = serve_spec(clean, "api-agent", find_free_port({clean.port}), **AGENT, PYTHONPROFILEIMPORTTIME="1")
    admin = Path(sys.executable).with_name("newrelic-admin")
    child = Child(replace(spec, command=[str(admin), "run-program", *spec.command]), print, lambda: None)
    await child.start()
    try:
        async with clients_of([child]) as (api,):
            await until_ranks_are_whole(clean)
            submitted = await api.submit(userId="42", username="Ada", score=5)
            assert submitted["standing"]["rank"] == 1
    finally:
        await child.stop()
    log = spec.log.read_text()
    # What wraps requests and statements.
    for hook in ("adapter_uvicorn", "database_asyncpg", "datastore_redis"):
        assert f"newrelic.hooks.{hook}\n" in log
    assert "Traceback" not in log
