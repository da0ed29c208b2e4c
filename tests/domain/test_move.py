"""The states of a move, and that their drawing is true."""

from __future__ import annotations

import re
from pathlib import Path

from domain.move import ENDED, NEXT, WIRED, Phase

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbooks" / "reshard.md"


def drawn() -> set[tuple[str, str]]:
    """The arrows of the drawing in the runbook, those from and to nowhere left out."""
    diagram = RUNBOOK.read_text().partition("```mermaid")[2].partition("```")[0]
    return set(re.findall(r"^\s*(\w+) --> (\w+)", diagram, re.MULTILINE))


def test_the_drawing_shows_every_way_and_no_other() -> None:
    assert drawn() == {(str(phase), str(later)) for phase, reached in NEXT.items() for later in reached}


def test_every_phase_has_an_end_in_reach() -> None:
    assert set(NEXT) == set(Phase)
    assert {phase for phase, reached in NEXT.items() if not reached} == ENDED
    for phase in Phase:
        reached, todo = {phase}, [phase]
        while todo:
            for later in NEXT[todo.pop()] - reached:
                reached.add(later)
                todo.append(later)
        assert reached & ENDED


def test_what_is_switched_cannot_be_aborted() -> None:
    assert Phase.ABORTING not in NEXT[Phase.SWITCHED]
    assert Phase.SWITCHED not in WIRED
