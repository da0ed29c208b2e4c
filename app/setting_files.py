"""Settings whose values stand in files, as Docker and Kubernetes hand out secrets: a variable shows in `docker inspect`
and in the environment of every child, a file need not.

`<NAME>_FILE` names a file whose content is the value of `<NAME>`, for every setting. The other way that
pydantic-settings has, a directory in which each file is named like a setting, says nothing of a file that is missing
or misspelt, lets a variable win over it in silence, and does not let secrets come from several places.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource, SettingsError

from domain.errors import OperatorError

logger = logging.getLogger(__name__)

_SUFFIX = "_FILE"
# Where Docker mounts secrets, readable for all in a container that holds one service.
_MOUNTED_SECRETS = Path("/run/secrets")


class FileSettings(PydanticBaseSettingsSource):
    """The values of settings whose `<NAME>_FILE` is set."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The content of the file, its setting, and whether it is JSON."""
        name = f"{self.config['env_prefix']}{field_name}".upper()
        path = os.environ.get(name + _SUFFIX)
        if not path:
            return None, field_name, False
        if os.environ.get(name):
            raise OperatorError(f"{name} and {name}{_SUFFIX} are both set; keep one of them.")
        return read_secret(name + _SUFFIX, Path(path)), field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        """All of them."""
        values = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, is_json = self.get_field_value(field, name)
            if value is not None:
                try:
                    values[key] = self.prepare_field_value(name, field, value, is_json)
                except ValueError:
                    # As pydantic-settings says it of a variable.
                    raise SettingsError(f'error parsing value for field "{name}" from its file') from None
        return values


def read_secret(variable: str, path: Path) -> str:
    """What a file holds, without the newline at its end.

    Args:
        variable: what names the file, for the message.

    Raises:
        OperatorError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except OSError as error:
        raise OperatorError(f"{variable}={path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise OperatorError(f"{variable}={path} is no text in UTF-8.") from None
    if mode & stat.S_IROTH and _MOUNTED_SECRETS not in path.parents:
        logger.warning("%s=%s may be read by everybody on this machine: chmod o= %s", variable, path, path)
    return text.removesuffix("\n").removesuffix("\r")
