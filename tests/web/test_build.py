"""scripts/web.py on a small project of its own: what it builds, when, with which Node.js, and what it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Puts what src/page.html says into dist, and counts how often it was run.
BUILD = """
import { appendFileSync, copyFileSync, mkdirSync, rmSync } from "node:fs";
appendFileSync("../builds", "x");
rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
copyFileSync("src/page.html", "dist/index.html");
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout with the script and a project in web/ that depends on no package."""

    root: Path

    @property
    def page(self) -> str:
        return (self.root / "web" / "dist" / "index.html").read_text()

    @property
    def builds(self) -> int:
        return len((self.root / "builds").read_text())

    def write(self, page: str) -> None:
        (self.root / "web" / "src" / "page.html").write_text(page)

    def run(self, *arguments: str, wheel: bool = True, path: str = os.defpath) -> subprocess.CompletedProcess[str]:
        """Run the script; without the wheel, Python looks into no site-packages."""
        command = [sys.executable, *([] if wheel else ["-S"]), str(self.root / "scripts" / "web.py"), *arguments]
        environment = {"PATH": path, "HOME": str(self.root)}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "web.py", tmp_path / "scripts")
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    scripts = {"build": "node build.mjs", "check": "node -e 'process.exit(3)'"}
    package = {"name": "board", "version": "1.0.0", "private": True, "scripts": scripts}
    (web / "package.json").write_text(json.dumps(package))
    lock = {"name": "board", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "board"}}}
    (web / "package-lock.json").write_text(json.dumps(lock))
    (web / "build.mjs").write_text(BUILD)
    (web / "src" / "page.html").write_text("first")
    return Checkout(tmp_path)


def test_it_builds_when_a_source_changed_and_only_then(checkout: Checkout) -> None:
    first = checkout.run("build")
    assert (first.returncode, first.stderr, checkout.page, checkout.builds) == (0, "", "first", 1)
    again = checkout.run("build")
    assert (again.returncode, again.stdout, checkout.builds) == (0, "", 1)
    checkout.write("second")
    assert checkout.run("build").returncode == 0
    assert (checkout.page, checkout.builds) == ("second", 2)
    shutil.rmtree(checkout.root / "web" / "dist")
    assert checkout.run("build").returncode == 0
    assert (checkout.page, checkout.builds) == ("second", 3)


def test_a_file_that_moved_is_a_change(checkout: Checkout) -> None:
    checkout.run("build")
    (checkout.root / "web" / "build.mjs").rename(checkout.root / "web" / "moved.mjs")
    assert checkout.run("build").returncode == 1


def test_a_failure_is_an_error_or_one_line(checkout: Checkout) -> None:
    (checkout.root / "web" / "build.mjs").write_text("throw new Error('the disk is made of cheese')")
    strict = checkout.run("build")
    assert strict.returncode == 1
    assert "the disk is made of cheese" in strict.stderr
    assert strict.stderr.splitlines()[-1] == ("shardboard: `npm run build` failed: Error: the disk is made of cheese")
    lenient = checkout.run("build", "--go-on")
    assert lenient.returncode == 0
    assert lenient.stderr == (
        "the board in the browser is missing; the API works without it: `npm run build` failed: "
        "Error: the disk is made of cheese (`make web` tries again)\n"
    )


def test_the_board_built_before_stays_when_packages_cannot_be_had(checkout: Checkout) -> None:
    checkout.run("build")
    checkout.write("second")
    lock = checkout.root / "web" / "package-lock.json"
    dependency = {"node_modules/nowhere": {"version": "1.0.0", "resolved": "http://127.0.0.1:9/nowhere-1.0.0.tgz"}}
    packages = {"": {"name": "board", "dependencies": {"nowhere": "1.0.0"}}, **dependency}
    lock.write_text(json.dumps({"name": "board", "version": "1.0.0", "lockfileVersion": 3, "packages": packages}))
    manifest = json.loads((checkout.root / "web" / "package.json").read_text())
    manifest["dependencies"] = {"nowhere": "1.0.0"}
    (checkout.root / "web" / "package.json").write_text(json.dumps(manifest))
    answer = checkout.run("build", "--go-on")
    assert answer.returncode == 0
    assert checkout.page == "first"
    assert answer.stderr.startswith("the board in the browser is the one built before: `npm ci` failed: ")
    assert "ECONNREFUSED" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_check_that_fails_fails(checkout: Checkout) -> None:
    answer = checkout.run("check")
    assert (answer.returncode, answer.stderr.splitlines()[-1]) == (
        1,
        "shardboard: `npm run check` failed with exit code 3",
    )


def test_without_any_node_it_says_so(checkout: Checkout, tmp_path: Path) -> None:
    strict = checkout.run("build", wheel=False, path=str(tmp_path / "nothing"))
    reason = "building it needs Node.js 20.19 or newer with npm, which is not installed"
    assert (strict.returncode, strict.stdout, strict.stderr) == (1, "", f"shardboard: {reason}\n")
    lenient = checkout.run("build", "--go-on", wheel=False, path=str(tmp_path / "nothing"))
    assert (lenient.returncode, lenient.stdout) == (0, "")
    assert lenient.stderr == (
        f"the board in the browser is missing; the API works without it: {reason} (`make web` tries again)\n"
    )


def test_an_old_node_is_named(checkout: Checkout, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, says in (("node", "v18.20.4"), ("npm", "10.7.0")):
        (programs / name).write_text(f"#!/bin/sh\necho {says}\n")
        (programs / name).chmod(0o755)
    answer = checkout.run("build", wheel=False, path=str(programs))
    assert answer.stderr == (
        f"shardboard: building it needs Node.js 20.19 or newer, and {programs / 'node'} is v18.20.4\n"
    )


def test_a_node_on_the_path_does_where_there_is_no_wheel(checkout: Checkout) -> None:
    # The wheel's own Node.js, found as any other on PATH.
    checkout.run("build")
    shims = checkout.root / "build" / "node"
    programs = checkout.root / "programs"
    programs.mkdir()
    for name in ("node", "npm"):
        (programs / name).symlink_to((shims / name).resolve())
    checkout.write("second")
    answer = checkout.run("build", wheel=False, path=os.pathsep.join((str(programs), os.defpath)))
    assert (answer.returncode, answer.stderr, checkout.page) == (0, "", "second")
