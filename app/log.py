"""The log of a process that clients talk to: structlog over the standard library's logging, so that whatever any
library logs goes the same way. One record a line, whatever a client has sent.

For machines a line is a JSON object, for a terminal it is text. Either way nothing in a record can end its line, begin
another record, or do something to the terminal that shows it: control characters are written as escapes. In text the
lines of a traceback are marked, so that none can pass for a record; in JSON it is a string.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from domain.requests import current_request

Format = Literal["json", "text"]

TRACEBACK_MARK = "  | "

# C0 and C1 controls, what other programs take for the end of a line, and what turns the direction of text.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# In this order in each line; what else there is comes after.
_FIRST = ("timestamp", "level", "logger", "event", "request_id")


def escape_controls(text: str) -> str:
    """`text` as one line that shows what it holds."""
    return _CONTROLS.sub(_escaped, text)


def log_to_stderr(format_: Format | None = None, *, production: bool = False, level: str = "INFO") -> None:
    """Send the log of all libraries there, too.

    Args:
        format_: JSON in production and where nobody reads along, unless it is said.
    """
    handler = logging.StreamHandler(sys.stderr)
    text = format_ == "text" or (format_ is None and not production and sys.stderr.isatty())
    handler.setFormatter(make_formatter("text" if text else "json"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # uvicorn tells of every socket that opens and closes.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def make_formatter(format_: Format) -> logging.Formatter:
    """Writes the records of structlog and of the standard library alike."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_add_fields, *_SHARED],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _render_json if format_ == "json" else _render_text,
        ],
    )


def _add_fields(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """What a record of the standard library carries as `extra={"fields": {…}}`."""
    event.update(getattr(event["_record"], "fields", {}))
    return event


def _add_request(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """For which request the code worked that logs."""
    request = current_request()
    if request is not None:
        event.setdefault("request_id", request.id)
    return event


_SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _add_request,
]


def _render_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    fields = {name: event.pop(name) for name in _FIRST if name in event} | dict(event)
    # JSON leaves some characters as they are that a terminal or another program heeds.
    return _CONTROLS.sub(_escaped_in_json, json.dumps(fields, ensure_ascii=False, default=str))


def _render_text(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    traceback = [str(event.pop(name)) for name in ("exception", "stack") if name in event]
    parts = [event.pop("timestamp"), event.pop("level").upper(), f"{event.pop('logger')}:", event.pop("event")]
    head = " ".join(escape_controls(str(part).rstrip("\n")) for part in parts)
    fields = "".join(f" {name}={_shown(value)}" for name, value in event.items())
    return "\n".join([head + fields, *(_marked(lines) for lines in traceback)])


def _shown(value: Any) -> str:
    """A field's value: in quotes where it could be taken for more than one."""
    text = str(value)
    if re.fullmatch(r"[\w.:/+-]+", text, re.ASCII):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escape_controls(quoted)}"'


def _marked(lines: str) -> str:
    return "\n".join(TRACEBACK_MARK + escape_controls(line) for line in lines.split("\n"))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    return _SHORT.get(character) or (f"\\x{ord(character):02x}" if character < "\u0100" else f"\\u{ord(character):04x}")


def _escaped_in_json(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
