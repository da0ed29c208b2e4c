"""The file of listed operations: read whole, or refused with its name and the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.asgi import Application
from app.operations_file import read_operations
from app.settings import Settings
from domain.errors import OperatorError

SHARD = {"name": "shard1", "url": "postgresql://a/b", "direct_url": "postgresql://a/b"}
TOP = "query Top { leaderboard { totalCount } }"


def manifest(*operations: Any, **fields: Any) -> dict[str, Any]:
    return {"format": "apollo-persisted-query-manifest", "version": 1, "operations": list(operations), **fields}


@pytest.mark.parametrize(
    ("content", "operations"),
    [
        ({}, {}),
        ({"abc": TOP, "def": "query A { __typename } query B { __typename }"}, None),
        (manifest(), {}),
        (manifest({"id": "abc", "name": "Top", "type": "query", "body": TOP}), {"abc": TOP}),
    ],
)
def test_both_forms_are_read(tmp_path: Path, content: Any, operations: dict[str, str] | None) -> None:
    path = tmp_path / "operations.json"
    path.write_text(json.dumps(content))
    assert read_operations(path) == (content if operations is None else operations)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not valid JSON: "),
        ('{"a": "{ a }", "a": "{ b }"}', 'the entry "a" is there twice'),
        ("[]", "must hold one JSON object"),
        (json.dumps(manifest(version=2)), "the format must be apollo-persisted-query-manifest, version 1"),
        (json.dumps({"format": "relay"}), "the format must be apollo-persisted-query-manifest, version 1"),
        (json.dumps(manifest() | {"operations": {}}), "`operations` must be a list of objects with `id` and `body`"),
        (json.dumps(manifest(5)), "`operations` must be a list of objects with `id` and `body`"),
        (json.dumps(manifest({"body": TOP})), "operation 1: the id must have 1 to 128 characters"),
        (json.dumps(manifest({"id": "a"})), "operation 'a': the document must be text"),
        (json.dumps({"a": 5}), "operation 'a': the document must be text"),
        (
            json.dumps(manifest({"id": "a", "body": TOP}, {"id": "a", "body": "{ __typename }"})),
            "operation 'a': is there twice, with different documents",
        ),
        (json.dumps({"a": TOP, "b": "{"}), "operation 'b': Syntax Error: Expected Name, found <EOF>."),
        (json.dumps({"b": "{ nothing }"}), "operation 'b': Cannot query field 'nothing' on type 'Query'."),
    ],
)
def test_a_broken_one_is_refused_by_name_and_reason(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "operations.json"
    path.write_text(content)
    with pytest.raises(OperatorError) as refused:
        Application(Settings.model_validate({"shards": [SHARD], "operations_file": path}))
    assert str(refused.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(refused.value)


def test_one_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "operations.json"
    with pytest.raises(OperatorError) as refused:
        read_operations(path)
    assert str(refused.value) == f"{path}: cannot be read: No such file or directory"


def test_nothing_listed_can_not_be_all_that_runs() -> None:
    with pytest.raises(OperatorError, match=r"^SHARDBOARD_OPERATIONS_ONLY needs SHARDBOARD_OPERATIONS_FILE"):
        Application(Settings.model_validate({"shards": [SHARD], "operations_only": True}))
