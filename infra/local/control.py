"""Asking the supervisor of a local cluster, which is another process, to add or remove a shard, or to restart parts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from domain.errors import OperatorError
from infra.local.cluster_file import ControlAddress, ShardUrls
from infra.local.ports import HOST

# The first start of a PostgreSQL on a busy machine takes tens of seconds, and another request may be before this one.
_ANSWER_SECONDS_MAX = 600.0


async def add_local_shard(data: Path, name: str) -> ShardUrls:
    """Let the running cluster of `data` start one more shard, empty. Returns its addresses.

    One of this name that is there already is left as it is: a call that was cut short can simply be made again. The
    supervisor finishes what it was asked even when this process ends before.

    Raises:
        OperatorError: the cluster does not run, or what it said against it; nothing was added then.
    """
    return ShardUrls(**await _ask(data, "add_shard", name))


async def remove_local_shard(data: Path, name: str) -> None:
    """Let the running cluster of `data` stop a shard and delete it with all it holds.

    The caller has seen to it that this is nothing that anybody needs. The supervisor finishes what it was asked even
    when this process ends before.

    Raises:
        OperatorError: the cluster does not run, or what it said against it, such as that there is no such shard.
    """
    await _ask(data, "remove_shard", name)


async def restart_local(data: Path, role: str) -> None:
    """Let the running cluster of `data` start its processes of a role anew, one after the other.

    Raises:
        OperatorError: the cluster does not run, or what it said against it.
    """
    await _ask(data, "restart", role)


async def _ask(data: Path, command: str, name: str) -> Any:
    address = _find_control(data)
    request = {"token": address.token, "command": command, "name": name}
    try:
        async with asyncio.timeout(_ANSWER_SECONDS_MAX):
            line = await _exchange(address.port, json.dumps(request).encode() + b"\n")
    except TimeoutError:
        raise OperatorError(
            f"the local cluster of {data} has not answered for {_ANSWER_SECONDS_MAX:.0f} s; it may still be at it: "
            "give the command again"
        ) from None
    except ConnectionRefusedError:
        # Its supervisor was killed: an orderly end takes the address out of the file.
        raise OperatorError(f"the local cluster of {data} is not running: `make up` starts it") from None
    except ConnectionError:
        line = b""
    except OSError as error:
        raise OperatorError(f"the local cluster of {data} does not answer: {error}") from error
    return _read_answer(data, line)


async def _exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()


def _find_control(data: Path) -> ControlAddress:
    path = data / "cluster.json"
    try:
        cluster = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OperatorError(
            f"there is no local cluster ({path} does not exist): `make up` starts one, --data names another one"
        ) from None
    except PermissionError:
        raise OperatorError(f"{path} may be read only by the user who started the cluster") from None
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path} cannot be read: {error}") from error
    if not cluster["processes"]:
        raise OperatorError(f"the local cluster of {data} is not running: `make up` starts it")
    control = cluster.get("control")
    if control is None:
        # A supervisor of an older version, which goes on running after an update, knows no control channel.
        raise OperatorError(
            f"the local cluster of {data} takes no commands now: it is just being started or stopped, or it was "
            "started by an older version; try again, or stop it and start it again"
        )
    return ControlAddress(**control)


def _read_answer(data: Path, line: bytes) -> Any:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not answer.keys() & {"done", "error"}:
        # Nothing came because it was killed; anything else is another program's, on the port of one that was killed.
        raise OperatorError(f"the local cluster of {data} ended before it answered: `make up` starts it")
    if "error" in answer:
        raise OperatorError(str(answer["error"]))
    return answer["done"]
