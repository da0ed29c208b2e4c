"""promtool, which reads rules and expressions as Prometheus does."""

from __future__ import annotations

import shutil
import subprocess


def run_promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    """What it says of files, and whether it finds them good."""
    promtool = shutil.which("promtool")
    assert promtool, "there is no promtool; scripts/bootstrap … prometheus installs it"
    return subprocess.run([promtool, *map(str, arguments)], capture_output=True, text=True, check=False)
