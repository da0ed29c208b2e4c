"""Node.js with the stock clients of tests/live/clients, installed once for each package-lock.json."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from scripts.web import NPM_CI, Node, find_node

ROOT = Path(__file__).parents[2]
CLIENTS = Path(__file__).parent / "clients"
_DESCRIPTION = ("package.json", "package-lock.json", ".npmrc")


class Clients:
    """A directory with the packages, from which programs run.

    Args:
        directory: where node_modules is.
    """

    def __init__(self, node: Node, directory: Path) -> None:
        self._node = node
        self._directory = directory

    async def run(self, program: Path, *arguments: str) -> str:
        """What a program prints until it ends, which it has to do well."""
        async with self.started(program, *arguments) as process:
            said, complained = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, complained.decode()
        return said.decode()

    @asynccontextmanager
    async def started(
        self, program: Path, *arguments: str, text: str = ""
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A running program, killed at the end of the block if it still runs.

        Args:
            program: a file; copied to where it finds the packages.
            arguments: after the program, unless they are options of Node.js.
            text: the program, where it is not the file as it is.
        """
        options = [argument for argument in arguments if argument.startswith("--")]
        given = [argument for argument in arguments if argument not in options]
        copied = self._directory / program.name
        if text:
            copied = copied.with_stem(f"{program.stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}")
            copied.write_text(text)
        else:
            shutil.copyfile(program, copied)
        process = await asyncio.create_subprocess_exec(
            self._node.program,
            *options,
            copied,
            *given,
            cwd=self._directory,
            env=self._node.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            if text:
                copied.unlink()


def install_clients() -> Clients:
    """The packages that package-lock.json names, checked by its hashes, in a directory of the build."""
    contents = [(CLIENTS / name).read_bytes() for name in _DESCRIPTION]
    directory = ROOT / "build" / "live-clients" / hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]
    directory.mkdir(parents=True, exist_ok=True)
    node = find_node()
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "installed").exists():
            for name, content in zip(_DESCRIPTION, contents, strict=True):
                (directory / name).write_bytes(content)
            subprocess.run(
                [node.program, node.npm, *NPM_CI], cwd=directory, env=node.environment, check=True, timeout=300
            )
            (directory / "installed").touch()
        for program in CLIENTS.glob("*.mjs"):
            shutil.copyfile(program, directory / program.name)
    return Clients(node, directory)
