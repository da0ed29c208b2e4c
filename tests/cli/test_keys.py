"""`shardboard keys`, as an operator uses it."""

from __future__ import annotations

import json
import time

import jwt

from infra.local.cluster import LocalCluster
from tests.cli.shell import query, shardboard


async def test_a_key_is_made_listed_and_revoked(clean: LocalCluster) -> None:
    made = await shardboard(
        clean, "keys", "make", "--label", "matchmaker", "--expires", "90d", "--submissions-per-minute", 600
    )
    assert made.code == 0
    text = made.out.strip()
    assert text.startswith("sb_server_")
    id_ = text.split("_")[2]
    assert made.err.startswith(f"Key {id_}, 'matchmaker': may read submit, until 2")
    assert "the only time that it is shown" in made.err

    listed = await shardboard(clean, "keys", "list")
    header, line = listed.out.splitlines()
    assert header.split()[:4] == ["id", "kind", "label", "state"]
    assert line.split()[:8] == [id_, "server", "matchmaker", "active", "read", "submit", "600", "any"]
    assert text not in listed.out
    # Every shard knows it.
    assert await query(clean, "select key_id from api_keys") == [(id_,)] * 4

    revoked = await shardboard(clean, "keys", "revoke", id_)
    assert (revoked.code, revoked.err) == (0, f"Key {id_}, 'matchmaker', is revoked.\n")
    (entry,) = (await shardboard(clean, "keys", "list", "--json")).json["keys"]
    assert (entry["id"], entry["state"], entry["scopes"]) == (id_, "revoked", ["read", "submit"])


async def test_a_key_for_machines_and_one_for_admins(clean: LocalCluster) -> None:
    made = await shardboard(clean, "keys", "make", "--label", "deploy", "--admin", "--json")
    entry = json.loads(made.out)
    assert entry["key"].startswith(f"sb_admin_{entry['id']}_")
    assert (entry["kind"], entry["scopes"], entry["expires_at"]) == ("admin", ["read", "submit", "admin"], None)
    narrow = await shardboard(clean, "keys", "make", "--label", "board", "--scope", "read", "--json")
    assert json.loads(narrow.out)["scopes"] == ["read"]


async def test_a_token_is_the_players(clean: LocalCluster) -> None:
    made = await shardboard(clean, "keys", "token", "42", "--expires", "5m")
    assert made.code == 0
    claims = jwt.decode(
        made.out.strip(), clean.identity.token_secret, ["HS256"], audience="shardboard", issuer="shardboard"
    )
    assert claims["sub"] == "42"
    assert 0 < claims["exp"] - time.time() <= 300
    refused = await shardboard(clean, "keys", "token", "ada")
    assert (refused.code, refused.out) == (1, "")
    assert "USER_ID must be a signed 64-bit integer in decimal" in refused.err


async def test_what_cannot_be_is_refused_and_nothing_is_made(clean: LocalCluster) -> None:
    for arguments, code, said in (
        (["--label", ""], 1, "A label has 1 to 100 printable characters. No key was made."),
        (["--label", "x", "--scope", "admin"], 1, "The scope `admin` is for admin keys. No key was made."),
        (["--label", "x", "--scope", "fly"], 2, "'fly' is not one of 'read', 'submit', 'admin'"),
        (["--label", "x", "--expires", "soon"], 2, "'soon' is no span of time such as 90d, 12h or 30m."),
        (["--label", "x", "--reads-per-minute", "-1"], 2, "-1 is not in the range"),
        ([], 2, "Missing option '--label'"),
    ):
        refused = await shardboard(clean, "keys", "make", *arguments)
        assert refused.code == code
        assert said in " ".join(refused.err.split())
        assert refused.out == ""
    unknown = await shardboard(clean, "keys", "revoke", "abc")
    assert (unknown.code, unknown.err) == (
        1,
        "shardboard: There is no key 'abc'; `shardboard keys list` shows their ids.\n",
    )
    assert await query(clean, "select key_id from api_keys") == []
