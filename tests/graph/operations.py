"""Valid operations made at random from the schema, with fragments, aliases and repeated keys."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLObjectType, get_named_type
from hypothesis import strategies as st

from graph.schema import GRAPHQL_SCHEMA

DRAW = st.DrawFn

LOADED_FIELDS = {"joinedAt", "recentSessions"}
USER_IDS = st.sampled_from(["7", "0", "-3", "404", "503", "500", "600", "601", "602", "x", "9999999999999999999"])
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**65), 2**65),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
        USER_IDS,
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value that fits, and one time in four one that may not."""
    return st.integers(0, 3).flatmap(lambda dice: JSON if dice == 0 else usual)


SCORES = st.one_of(st.integers(-50, 50), st.sampled_from([503, 500, 409, 2**53, 1.0, 1.5]))
INPUTS = st.fixed_dictionaries(
    {"userId": mostly(USER_IDS | st.integers(1, 50)), "username": mostly(st.text(max_size=3)), "score": mostly(SCORES)},
    optional={
        "gameMode": mostly(st.sampled_from(["ranked", "", None])),
        "durationSeconds": mostly(st.integers(-1, 5)),
        "submissionId": mostly(st.sampled_from(["019aa0e2-7c00-7000-8000-000000000001", "x", None])),
        "more": st.just(1),
    },
)

ARGUMENTS: dict[str, dict[str, tuple[str, st.SearchStrategy[Any]]]] = {
    "leaderboard": {
        "board": ("ID", st.sampled_from(["global", "600", "602"])),
        "first": ("Int", st.integers(0, 3)),
        "after": ("String", st.none() | st.just("c")),
    },
    "rank": {"userId": ("ID!", USER_IDS | st.integers(1, 50))},
    "ranks": {"userIds": ("[ID!]!", st.lists(USER_IDS, max_size=3))},
    "around": {"userId": ("ID!", USER_IDS), "radius": ("Int", st.integers(0, 2))},
    "history": {
        "userId": ("ID!", USER_IDS),
        "first": ("Int", st.integers(0, 3)),
        "after": ("String", st.none() | st.just("c")),
        "gameMode": ("String", st.none() | st.text(max_size=3)),
    },
    "submitScore": {"input": ("SubmitScoreInput!", INPUTS)},
    "submitScores": {"inputs": ("[SubmitScoreInput!]!", st.lists(INPUTS, max_size=3) | INPUTS)},
}


class Writer:
    """One document under construction."""

    def __init__(self, draw: DRAW, *, loaded: bool) -> None:
        self.draw = draw
        self.loaded = loaded
        self.fragments: list[str] = []
        self.variable_types: dict[str, str] = {}
        self.variables: dict[str, Any] = {}

    def root(self, type_: GraphQLObjectType) -> str:
        """A selection set of root fields, each under a key of its own."""
        names = self.draw(st.lists(st.sampled_from(sorted(type_.fields)), min_size=1, max_size=3))
        return self.wrapped(type_, [self.root_field(type_, name, index) for index, name in enumerate(names)])

    def root_field(self, type_: GraphQLObjectType, name: str, index: int) -> str:
        arguments = []
        for argument, (argument_type, values) in ARGUMENTS[name].items():
            if not argument_type.endswith("!") and self.draw(st.booleans()):
                continue
            variable = f"{argument}{index}"
            self.variable_types[variable] = argument_type + ("" if argument_type.endswith("!") else "!")
            if self.draw(st.integers(0, 9)):
                self.variables[variable] = self.draw(mostly(values))
            arguments.append(f"{argument}: ${variable}")
            if argument == "after" or argument == "gameMode":
                self.variable_types[variable] = argument_type
        inner = get_named_type(type_.fields[name].type)
        assert isinstance(inner, GraphQLObjectType)
        given = f"({', '.join(arguments)})" if arguments else ""
        return f"k{index}: {name}{given} {self.selections(inner)}"

    def selections(self, type_: GraphQLObjectType) -> str:
        """A selection set of any fields of `type_`; a key always stands for the same field."""
        usable = [name for name in type_.fields if self.loaded or name not in LOADED_FIELDS]
        names = self.draw(st.lists(st.sampled_from([*sorted(usable), "__typename"]), min_size=1, max_size=5))
        return self.wrapped(type_, [self.field(type_, name) for name in names])

    def field(self, type_: GraphQLObjectType, name: str) -> str:
        alias = self.draw(st.sampled_from(["", "", f"the_{name}: "]))
        directive = self.draw(st.sampled_from(["", "", "", " @skip(if: false)", " @include(if: false)"]))
        inner = get_named_type(type_.fields[name].type) if name != "__typename" else None
        selections = self.selections(inner) if isinstance(inner, GraphQLObjectType) else ""
        return f"{alias}{name}{directive} {selections}"

    def wrapped(self, type_: GraphQLObjectType, fields: list[str]) -> str:
        """The fields in braces, some of them in fragments."""
        written = []
        for field in fields:
            kind = self.draw(st.sampled_from(["plain", "plain", "plain", "inline", "bare", "named"]))
            if kind == "inline":
                written.append(f"... on {type_.name} {{ {field} }}")
            elif kind == "bare":
                written.append(f"... {{ {field} }}")
            elif kind == "named":
                name = f"F{len(self.fragments)}"
                self.fragments.append(f"fragment {name} on {type_.name} {{ {field} }}")
                written.extend([f"...{name}"] * self.draw(st.integers(1, 2)))
            else:
                written.append(field)
        return "{ " + " ".join(written) + " }"


@st.composite
def operations(draw: DRAW, *, loaded: bool = False) -> tuple[str, dict[str, Any]]:
    """A document of one operation and its variables; `loaded` also takes fields that need a loader."""
    writer = Writer(draw, loaded=loaded)
    kind = draw(st.sampled_from(["query", "query", "mutation"]))
    root_type = GRAPHQL_SCHEMA.query_type if kind == "query" else GRAPHQL_SCHEMA.mutation_type
    assert root_type is not None
    body = writer.root(root_type)
    types = ", ".join(f"${name}: {type_}" for name, type_ in writer.variable_types.items())
    head = f"{kind} ({types})" if types else kind
    return f"{head} {body} {' '.join(writer.fragments)}", writer.variables
