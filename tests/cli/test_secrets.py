"""No password or key shows anywhere: not in what commands print, nor in logs, nor in the list of processes."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import make_url

from app.cli.main import main
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from tests.apis import running_apis, url_of
from tests.cli.shell import shardboard

SUBMIT = "mutation ($input: SubmitScoreInput!) { submitScore(input: $input) { standing { totalScore } } }"


def secrets_of(cluster: LocalCluster) -> dict[str, str]:
    """Every secret of a cluster by what it is."""
    identity = cluster.identity
    return {
        "owner": identity.shard_password,
        "service": identity.service_password,
        "superuser": identity.superuser_password,
        "redis": identity.redis_password,
        "server key": identity.server_key,
        "admin key": identity.admin_key,
    }


def shown_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [what for what, secret in secrets.items() if secret in text]


def wrong_settings(cluster: LocalCluster) -> list[dict[str, str]]:
    """Settings of which each leads commands into another failure, all of them with the true passwords."""
    first = cluster.shards[0]
    nowhere = find_free_port(set())

    def one(url: str, direct_url: str, redis_url: str = cluster.redis_url) -> dict[str, str]:
        shards = [{"name": first.name, "url": url, "direct_url": direct_url}]
        return {"SHARDBOARD_SHARDS": json.dumps(shards), "SHARDBOARD_REDIS_URL": redis_url}

    def at(url: str, **parts: object) -> str:
        return make_url(url).set(**parts).render_as_string(hide_password=False)  # type: ignore[arg-type]

    served, owned = first.url, first.direct_url
    password = cluster.identity.shard_password
    return [
        # Nobody there; another database; another role; TLS that is not there; words nobody heeds; no address at all.
        one(at(served, port=nowhere), at(owned, port=nowhere)),
        one(at(served, database="nowhere"), at(owned, database="nowhere")),
        one(at(served, username="nobody"), at(owned, username="nobody")),
        one(f"{served}?sslmode=require", f"{owned}?sslmode=require"),
        one(f"{served}?ssl=on", f"{owned}?ssl=on"),
        one(f"{password}@", f"postgresql://{password}@[::1"),
        one(served, owned, cluster.redis_url.replace("redis://", "rediss://")),
        one(served, owned, f"{cluster.redis_url}?ssl_ca_certs=/x"),
        one(served, owned, f"http://{cluster.identity.redis_password}"),
        {"SHARDBOARD_SHARDS": json.dumps([{"name": "", "url": served}])},
        {"SHARDBOARD_SHARDS": f'[{{"url": "{served}"'},
    ]


async def test_commands_that_succeed_show_no_secret(clean: LocalCluster) -> None:
    secrets = secrets_of(clean)
    for command in (["shards", "list", "--json"], ["shards", "status"], ["migrate", "--json"]):
        done = await shardboard(clean, *command)
        assert shown_in(done.out + done.err, secrets) == [], command


# Those of the settings above with which a server does not even start.
REFUSED_BY_SERVE = (4, 8, 9)


@pytest.mark.parametrize("command", [["shards", "list"], ["migrate"], ["ranks", "verify"]], ids=" ".join)
def test_commands_that_fail_show_no_secret(
    clean: LocalCluster, command: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = secrets_of(clean)
    monkeypatch.setattr("sys.argv", ["shardboard", *command])
    for number, settings in enumerate(wrong_settings(clean)):
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            with suppress(SystemExit):
                main()
        said = "".join(capfd.readouterr())
        assert said, number
        assert shown_in(said, secrets) == [], number
        assert "Traceback" not in said, (number, said)


async def test_a_server_that_does_not_start_shows_no_secret(clean: LocalCluster) -> None:
    settings = wrong_settings(clean)
    for number in REFUSED_BY_SERVE:
        done = await shardboard(None, "serve", env=settings[number])
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("shardboard: ")
        assert shown_in(done.err, secrets_of(clean)) == [], number


async def test_what_the_service_logs_shows_no_secret(clean: LocalCluster) -> None:
    """Through failures of every part, which are logged with what the drivers say of them."""
    secrets = secrets_of(clean)
    async with running_apis(clean, ["secrets"]) as (api,), httpx.AsyncClient(timeout=10) as client:
        url = f"{url_of(api)}/graphql"

        async def submit() -> None:
            for user in range(8):
                variables = {"input": {"userId": str(user), "username": "Ada", "score": 1}}
                answer = await client.post(
                    url,
                    json={"query": SUBMIT, "variables": variables},
                    headers={"authorization": f"Bearer {clean.identity.server_key}"},
                )
                assert shown_in(answer.text, secrets) == []

        await submit()
        for role in ("pgbouncer", "postgres", "valkey"):
            clean.child(role).crash()
            await submit()
        health = await client.get(f"{url_of(api)}/health")
        assert shown_in(health.text, secrets) == []
        arguments = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
        assert len(arguments) > 10
        assert shown_in("\n".join(arguments), secrets) == []
    for log in (clean.data / "logs").glob("*.log"):
        assert shown_in(log.read_text(errors="replace"), secrets) == [], log.name


async def test_no_secret_is_in_a_file_that_others_may_read(clean: LocalCluster) -> None:
    secrets = secrets_of(clean)
    readable = [
        path
        for path in clean.data.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o044 and path.stat().st_size < 1_000_000
    ]
    assert {path.name: shown for path in readable if (shown := shown_in(_text(path), secrets))} == {}


def _text(path: Path) -> str:
    return path.read_text(errors="replace")
