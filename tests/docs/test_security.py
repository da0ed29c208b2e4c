"""docs/SECURITY.md names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")


def test_every_test_that_it_names_is_there() -> None:
    missing = []
    for line in TEXT.splitlines():
        source = ""
        for path, name in re.findall(r"(tests/[\w/]+\.py)|(?<![\w/])(test_\w+)(?!\w*\.py)", line):
            if path:
                file = ROOT / path
                source = file.read_text(encoding="utf-8") if file.is_file() else ""
                if not source:
                    missing.append(path)
            elif f"def {name}(" not in source:
                missing.append(name)
    assert missing == []
    assert len(re.findall(r"tests/[\w/]+\.py", TEXT)) > 50
