"""Which service a command speaks of: the local cluster of a DATA directory, or the deployment of the environment."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import click

from app.settings import Settings, load_settings, names_deployment
from domain.errors import OperatorError

_DATA_DEFAULT = ".data"

data_option = click.option(
    "--data",
    envvar="DATA",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help=f"DATA directory of a local cluster; {_DATA_DEFAULT} when neither this nor SHARDBOARD_SHARDS is set.",
)


def find_settings(data: Path | None) -> Settings:
    """The settings of the service that a command works on.

    Args:
        data: what `data_option` gave: when set, the cluster kept there; otherwise the environment's settings, and
            without them the cluster in `.data`.

    Raises:
        OperatorError: there is no cluster and no setting.
    """
    if data is None and names_deployment():
        return load_settings()
    path = (data or Path(_DATA_DEFAULT)) / "cluster.json"
    try:
        cluster = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OperatorError(
            f"there is no local cluster ({path} does not exist): `make up` starts one, --data names another one, "
            "and a deployment is found by its SHARDBOARD_… variables"
        ) from None
    except PermissionError:
        raise OperatorError(f"{path} may be read only by the user who started the cluster") from None
    if not cluster["processes"]:
        raise OperatorError(f"the local cluster of {path.parent} is not running: `make up` starts it")
    return Settings(
        shards=cluster["shards"],
        redis_url=cluster["redis_url"],
        port=urlsplit(cluster["url"]).port or 0,
        server_key=cluster["server_key"],
        admin_key=cluster["admin_key"],
        jwt_algorithm="HS256",
        jwt_secret=cluster["token_secret"],
    )
