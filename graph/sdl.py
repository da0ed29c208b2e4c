"""`python -m graph.sdl` prints the schema as SDL; `python -m graph.sdl --write` renews graph/schema.graphql."""

from __future__ import annotations

import sys
from pathlib import Path

from graph.schema import SCHEMA

SDL_FILE = Path(__file__).with_name("schema.graphql")


def sdl() -> str:
    """The served schema in the schema definition language, as it is committed."""
    return SCHEMA.as_str() + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        SDL_FILE.write_text(sdl(), encoding="utf-8")
    else:
        sys.stdout.write(sdl())
