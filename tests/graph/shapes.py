"""Documents that are cheap to write and dear to check, each as large as one likes: what attackers send."""

from __future__ import annotations

from collections.abc import Callable

Shape = Callable[[int], str]


def many(part: str, n: int) -> str:
    """`part` n times, each with its number for `#`."""
    return " ".join(part.replace("#", str(number)) for number in range(n))


def nested(head: str, inner: str, tail: str, n: int) -> str:
    """`inner` within n times `head` and `tail`."""
    return head * n + inner + tail * n


def doubling(levels: int) -> str:
    """Fragments that each spread the next one twice: 2^levels fields in a document of a few lines."""
    fragments = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels)]
    return "{ ...F0 } " + " ".join([*fragments, f"fragment F{levels} on Query {{ __typename }}"])


def doubling_nothing(levels: int) -> str:
    """The same, but with nothing at its end that a field could be counted by."""
    return doubling(levels).replace("__typename", "")


# Documents with a spread for each pair of fragments get no longer than a body may be.
_PAIRED_MAX = 60


def _all_spread_all(n: int) -> str:
    n = min(n, _PAIRED_MAX)
    fragments = many("fragment F# on Query { " + many("...F#", n).replace("#", "@") + " }", n)
    return "{ ...F0 } " + fragments.replace("@", "#")


def _later_spread(n: int, rest: str) -> str:
    n = min(n, _PAIRED_MAX)
    return " ".join(
        f"fragment F{number} on Query {{ {' '.join(f'...F{later}' for later in range(number + 1, n))} {rest} }}"
        for number in range(n)
    )


def _standing(selections: str) -> str:
    return f"{{ leaderboard {{ nodes {{ {selections} }} }} }}"


def _unused(type_: str, selections: str) -> str:
    return f"{{ __typename }} fragment Unused on {type_} {{ {selections} }}"


SHAPES: dict[str, Shape] = {
    # What the lexer reads character by character.
    "spaces": lambda n: "{" + " " * n * 60 + "a }",
    "newlines": lambda n: "{" + "\n" * n * 60 + "a }",
    "a comment": lambda n: "{ #" + "x" * n * 60 + "\n a }",
    "comments": lambda n: "{" + "#\n" * n + "a }",
    "a string": lambda n: '{ rank(userId: "' + "x" * n * 60 + '") { rank } }',
    "escapes": lambda n: '{ rank(userId: "' + "\\u{41}" * n * 10 + '") { rank } }',
    "a block string": lambda n: '{ rank(userId: """' + "x\n" * n * 30 + '""") { rank } }',
    "a name": lambda n: "{ " + "leaderboar" * n * 6 + " }",
    "a number": lambda n: "{ leaderboard(first: " + "1" * n * 60 + ") { totalCount } }",
    # Selections, wide and deep.
    "root fields": lambda n: "{ " + "__typename " * n + "}",
    "aliases": lambda n: "{ " + many("a#: __typename", n) + " }",
    "fields": lambda n: _standing("rank " * n),
    "unknown fields": lambda n: _standing(many("userna#", n)),
    "unknown fields far from any": lambda n: _standing(many("abcdefghijklmnopqrstuvwxyz#", n)),
    "a leaf with fields": lambda n: _standing("rank { a } " * n),
    "objects without fields": lambda n: "{ leaderboard { " + "nodes " * n + "} }",
    "missing arguments": lambda n: _standing("recentSessions(first: null) { id } " * n),
    "deep": lambda n: nested("{ a ", "{ b }", " }", n),
    "deep in the schema": lambda n: "{ __schema { types " + nested("{ ofType ", "{ name }", " }", n) + " } }",
    "inline fragments": lambda n: _standing("... { rank } " * n),
    "inline fragments within another": lambda n: "{" + nested("... {", "__typename", "}", n) + "}",
    "inline fragments on nothing known": lambda n: _standing("... on Standin { rank } " * n),
    "inline fragments that cannot apply": lambda n: _standing("... on Query { __typename } " * n),
    # Values.
    "a list in a list": lambda n: f"{{ ranks(userIds: {nested('[', '1', ']', n)}) {{ rank }} }}",
    "an object in an object": lambda n: (
        f"mutation {{ submitScore(input: {nested('{a:', '1', '}', n)}) {{ duplicate }} }}"
    ),
    "a list": lambda n: f"{{ ranks(userIds: [{'1 ' * n}]) {{ rank }} }}",
    "a list of wrong values": lambda n: f"{{ ranks(userIds: [{'1.5 ' * n}]) {{ rank }} }}",
    "an object": lambda n: f"mutation {{ submitScore(input: {{ {many('a#: 1', n)} }}) {{ duplicate }} }}",
    "an object with one entry": lambda n: (
        f"mutation {{ submitScore(input: {{ {'userId: 1 ' * n} }}) {{ duplicate }} }}"
    ),
    "empty objects": lambda n: f"mutation {{ submitScores(inputs: [{'{} ' * n}]) {{ error {{ code }} }} }}",
    "wrong objects": lambda n: (
        f"mutation {{ submitScores(inputs: [{'{userI: 1 usernam: 2 scor: 3} ' * n}]) {{ error {{ code }} }} }}"
    ),
    "arguments": lambda n: f"{{ leaderboard({many('a#: 1', n)}) {{ totalCount }} }}",
    "one argument": lambda n: f"{{ leaderboard({'first: 1 ' * n}) {{ totalCount }} }}",
    "differing arguments": lambda n: _standing(many("a: recentSessions(first: #) { id }", n)),
    # Variables.
    "variables": lambda n: f"query ({many('$a#: Int', n)}) {{ __typename }}",
    "variables that are used": lambda n: (
        f"query ({many('$a#: Int', n)}) {_standing(many('recentSessions(first: $a#) { id }', n))}"
    ),
    "variables of unknown types": lambda n: f"query ({many('$a#: Scor#', n)}) {{ __typename }}",
    "one variable": lambda n: f"query ({'$a: Int ' * n}) {{ __typename }}",
    "a list type in a list type": lambda n: f"query ($a: {nested('[', 'Int', ']', n)}) {{ __typename }}",
    "undefined variables": lambda n: _standing(many("recentSessions(first: $a#) { id }", n)),
    "a variable in many operations": lambda n: (
        many("query Q# ($a: Int) { ...F }", n)
        + " fragment F on Query { leaderboard { nodes { "
        + "recentSessions(first: $a) { id } " * n
        + "} } }"
    ),
    # Directives.
    "directives": lambda n: "{ __typename " + "@include(if: true) " * n + "}",
    "unknown directives": lambda n: "{ __typename " + many("@inclu#", n) + " }",
    "directives on the operation": lambda n: "query " + "@a " * n + "{ __typename }",
    "directives on variables": lambda n: f"query ({many('$a#: Int @a', n)}) {{ __typename }}",
    "directives on fields": lambda n: _standing("rank @skip(if: false) " * n),
    # Definitions.
    "operations": lambda n: many("query Q# { __typename }", n),
    "operations without names": lambda n: "{ __typename } " * n,
    "operations of one name": lambda n: "query Q { __typename } " * n,
    "described operations": lambda n: '"""a""" query Q { __typename } ' * n,
    "definitions of types": lambda n: "type A { a: Int } " * n,
    "fragments that nobody uses": lambda n: "{ __typename } " + many("fragment F# on Query { __typename }", n),
    "fragments of one name": lambda n: "{ ...F } " + "fragment F on Query { __typename } " * n,
    "unknown fragments": lambda n: _standing(many("...F#", n)),
    "one fragment again and again": lambda n: _standing("...F " * n) + " fragment F on Standing { rank }",
    "a chain of fragments": lambda n: (
        "{ ...F0 } " + " ".join(f"fragment F{each} on Query {{ ...F{each + 1} }}" for each in range(n))
    ),
    "doubling fragments": doubling,
    "doubling fragments without a field": doubling_nothing,
    "a fragment within itself": lambda n: "{ ...F } fragment F on Query { " + "...F " * n + "}",
    "fragments within each other": _all_spread_all,
    "each fragment in all before": lambda n: "{ ...F0 } " + _later_spread(n, "__typename"),
    "each fragment in all before, unused": lambda n: "{ __typename } " + _later_spread(n, "__typename"),
    "many operations with many fragments": lambda n: (
        many("query Q# { ...F0 }", n) + " " + _later_spread(n, "leaderboard { totalCount }")
    ),
    # Fields of one name, which validation compares pair by pair.
    "equal objects": lambda n: _standing("recentSessions { id } " * n),
    "equal objects, unused": lambda n: _unused("Query", "leaderboard { nodes { rank } } " * n),
    "equal deep objects, unused": lambda n: _unused("Query", "__schema { types { fields { type { name } } } } " * n),
    "conflicting fields": lambda n: _standing("a: rank a: userId " * n),
    "conflicting fields, unused": lambda n: _unused("Standing", "a: rank a: userId " * n),
    "conflicting fields below": lambda n: _unused("Query", "leaderboard { nodes { a: rank a: userId } } " * n),
    "equal fields in fragments": lambda n: (
        _standing(many("...F#", n)) + " " + many("fragment F# on Standing { rank userId }", n)
    ),
    "equal objects in fragments": lambda n: (
        _standing(many("...F#", n)) + " " + many("fragment F# on Standing { recentSessions { id } }", n)
    ),
    "equal roots": lambda n: "{ " + f"leaderboard {{ nodes {{ {'rank ' * n} }} }} " * 10 + "}",
    # The schema itself.
    "fields of types of fields": lambda n: (
        "{ __schema { types " + nested("{ fields { type ", "{ name }", " } }", n) + "} }"
    ),
    "possible types": lambda n: "{ __schema { types " + nested("{ possibleTypes ", "{ name }", " }", n) + "} }",
    "types again and again": lambda n: "{ __schema { " + many("a#: types { fields { name } }", n) + " } }",
    "one type again and again": lambda n: "{ " + many('a#: __type(name: "Query") { fields { name } }', n) + " }",
    # Lists in lists.
    "long lists": lambda n: "{ " + many("a#: leaderboard(first: 100) { nodes { rank } }", n) + " }",
    "lists in lists": lambda n: (
        "{ leaderboard(first: 100) { nodes { " + many("a#: recentSessions(first: 20) { id }", n) + " } } }"
    ),
    # Subscriptions.
    "watched fields": lambda n: "subscription { " + "topChanged { board } " * n + "}",
    "watched fragments": lambda n: (
        "subscription { " + "...F " * n + "} fragment F on Subscription { topChanged { board } }"
    ),
}
