from pathlib import Path

from graphql import GraphQLObjectType, GraphQLSchema, build_schema, find_breaking_changes
from graphql.utilities import find_schema_changes

from graph.schema import GRAPHQL_SCHEMA
from graph.sdl import SDL_FILE, sdl

CONTRACT = build_schema((Path(__file__).parent / "contract.graphql").read_text())


def offered() -> GraphQLSchema:
    """The served schema, read back from the file that clients read."""
    return build_schema(SDL_FILE.read_text())


def test_the_committed_sdl_is_what_is_served() -> None:
    assert SDL_FILE.read_text() == sdl(), "run: python -m graph.sdl --write"


def test_nothing_of_the_contract_is_missing_or_narrowed() -> None:
    broken = [change.description for change in find_breaking_changes(CONTRACT, offered())]
    assert broken == []


def test_types_defaults_and_descriptions_are_those_of_the_contract() -> None:
    """What is left of all differences is what the service adds."""
    differences = {change.description for change in find_schema_changes(CONTRACT, offered())}
    assert differences == {
        "Field Standing.joinedAt was added.",
        "Field Standing.recentSessions was added.",
        "An optional field SubmitScoreInput.signature was added.",
    }


def test_every_description_of_the_contract_is_kept() -> None:
    missing = []
    for name, type_ in CONTRACT.type_map.items():
        if name.startswith("__"):
            continue
        served = GRAPHQL_SCHEMA.type_map[name]
        if type_.description != served.description:
            missing.append(name)
        for field_name, field in getattr(type_, "fields", {}).items():
            if field.description != served.fields[field_name].description:  # type: ignore[attr-defined]
                missing.append(f"{name}.{field_name}")
        for value_name, value in getattr(type_, "values", {}).items():
            if value.description != served.values[value_name].description:  # type: ignore[attr-defined]
                missing.append(f"{name}.{value_name}")
    assert missing == []


def test_no_object_type_needs_a_wrapper_around_its_source() -> None:
    """Sources are domain objects: a type that checked the class of its source would refuse them."""
    checked = [
        type_.name
        for type_ in GRAPHQL_SCHEMA.type_map.values()
        if isinstance(type_, GraphQLObjectType) and type_.is_type_of is not None
    ]
    assert checked == []
