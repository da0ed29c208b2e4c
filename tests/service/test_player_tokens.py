"""Players' tokens, made as a game's login makes them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from domain.access import Caller, Scope
from domain.errors import OperatorError, Unauthenticated, Unavailable
from service.player_tokens import Algorithm, PlayerTokens, TokenRules

SECRET = "a secret of at least thirty-two bytes, and of sixty-four for HS512"
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()
GONE = "it was left out"


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"sub": "42", "aud": "shardboard", "iss": "login", "iat": now, "exp": now + 600} | changed
    return {name: value for name, value in made.items() if value is not GONE}


def rules(algorithm: Algorithm = "HS256", **changed: Any) -> TokenRules:
    given = {"secret": SECRET} if algorithm == "HS256" else {}
    return TokenRules(algorithm, "shardboard", "login", **{"leeway_s": 0.0} | given | changed)


def hs256(**changed: Any) -> str:
    return jwt.encode(claims(**changed), SECRET, "HS256")


async def refused(tokens: PlayerTokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        await tokens.find(token)
    return str(refusal.value)


async def test_a_good_token_is_its_player() -> None:
    exp = int(time.time()) + 600
    caller = await PlayerTokens(rules(submissions_per_minute=7, reads_per_minute=8)).find(hs256(exp=exp, sub="-9"))
    both = frozenset({Scope.READ, Scope.SUBMIT})
    assert caller == Caller("player", "player:-9", both, -9, exp, submissions_per_minute=7, reads_per_minute=8)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": 1}, "The token has expired; get a new one."),
        ({"exp": GONE}, "The token lacks the claim exp."),
        ({"sub": GONE}, "The token lacks the claim sub."),
        ({"aud": GONE}, "The token lacks the claim aud."),
        ({"iss": GONE}, "The token lacks the claim iss."),
        ({"aud": "another"}, "The token is for another audience."),
        ({"iss": "another"}, "The token is of another issuer."),
        ({"nbf": 4_000_000_000}, "The token is not valid yet; check the clock of the machine that made it."),
        ({"iat": 4_000_000_000}, "The token is not valid yet; check the clock of the machine that made it."),
        ({"sub": "ada"}, "The claim sub of the token must be the player's id in decimal."),
        ({"sub": "042e1"}, "The claim sub of the token must be the player's id in decimal."),
        ({"sub": str(2**63)}, "The claim sub of the token must be the player's id in decimal."),
        ({"sub": 42}, "The token is not one that is accepted here."),
        ({"exp": "soon"}, "The token is not one that is accepted here."),
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(changed: dict[str, Any], reason: str) -> None:
    assert await refused(PlayerTokens(rules()), hs256(**changed)) == reason


async def test_clocks_may_differ_a_little() -> None:
    late = hs256(exp=int(time.time()) - 5)
    assert (await PlayerTokens(rules(leeway_s=10)).find(late)).user_id == 42
    assert "expired" in await refused(PlayerTokens(rules(leeway_s=1)), late)


async def test_a_token_that_was_good_is_refused_from_its_end_on(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, token = PlayerTokens(rules()), hs256()
    assert (await tokens.find(token)).user_id == 42
    later = time.time() + 601
    monkeypatch.setattr("service.player_tokens.time.time", lambda: later)
    assert await refused(tokens, token) == "The token has expired; get a new one."


def unsigned(header: dict[str, Any]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims())]
    return ".".join([*parts, ""])


@pytest.mark.parametrize(
    "token",
    [
        unsigned({"alg": "none", "typ": "JWT"}),
        unsigned({"alg": "HS256"}),
        jwt.encode(claims(), SECRET, "HS512"),
        jwt.encode(claims(), SECRET + "!", "HS256"),
        jwt.encode(claims(), RSA_KEY, "RS256"),
        hs256()[:-2],
        "a.b.c",
        "..",
        "a" * 5000,
    ],
    ids=["none", "unsigned", "another HMAC", "another secret", "RS256", "cut", "letters", "dots", "long"],
)
async def test_only_the_one_algorithm_with_the_one_secret_is_accepted(token: str) -> None:
    assert await refused(PlayerTokens(rules()), token) in (
        "The token is not one that is accepted here.",
        "The token is longer than 4096 characters.",
    )


def key_set(**keys: Any) -> str:
    entries = []
    for kid, key in keys.items():
        algorithm = OKPAlgorithm if isinstance(key, ed25519.Ed25519PrivateKey) else RSAAlgorithm
        entries.append(json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"})
    return json.dumps({"keys": entries})


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA_KEY), ("EdDSA", ED_KEY)])
async def test_tokens_by_a_set_of_keys_in_a_file(tmp_path: Path, algorithm: Algorithm, key: Any) -> None:
    (tmp_path / "jwks.json").write_text(key_set(one=RSA_KEY, two=OTHER_RSA_KEY, three=ED_KEY))
    tokens = PlayerTokens(rules(algorithm, key_set=str(tmp_path / "jwks.json")))
    kid = "one" if algorithm == "RS256" else "three"
    assert (await tokens.find(jwt.encode(claims(), key, algorithm, {"kid": kid}))).user_id == 42
    unknown = "The token is signed with a key that is not known here."
    assert await refused(tokens, jwt.encode(claims(), key, algorithm, {"kid": "four"})) == unknown
    stranger = OTHER_RSA_KEY if algorithm == "RS256" else ed25519.Ed25519PrivateKey.generate()
    assert "not one that is accepted" in await refused(tokens, jwt.encode(claims(), stranger, algorithm, {"kid": kid}))


async def test_the_public_key_is_no_secret_of_hmac(tmp_path: Path) -> None:
    """The classic confusion: a token signed by HMAC with the public key, which everybody has."""
    (tmp_path / "jwks.json").write_text(key_set(one=RSA_KEY))
    public = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header, payload = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "one"}, claims())
    )
    signature = base64.urlsafe_b64encode(hmac.new(public, header + b"." + payload, hashlib.sha256).digest()).rstrip(
        b"="
    )
    forged = b".".join([header, payload, signature]).decode()
    tokens = PlayerTokens(rules("RS256", key_set=str(tmp_path / "jwks.json")))
    assert await refused(tokens, forged) == "The token is not one that is accepted here."


async def test_a_set_of_one_key_needs_no_name_in_the_token(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text(key_set(one=ED_KEY))
    tokens = PlayerTokens(rules("EdDSA", key_set=str(tmp_path / "jwks.json")))
    assert (await tokens.find(jwt.encode(claims(), ED_KEY, "EdDSA"))).user_id == 42


@asynccontextmanager
async def served(answer: Callable[[], bytes]) -> AsyncIterator[tuple[str, list[int]]]:
    """An address that answers with what `answer` gives, and how often it was asked."""
    asked: list[int] = []

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.append(1)
        body = answer()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json", asked


async def test_a_set_at_an_address_is_read_anew_for_a_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: dict[str, Any] = {"one": RSA_KEY}
    async with served(lambda: key_set(**keys).encode()) as (url, asked):
        tokens = PlayerTokens(rules("RS256", key_set=url))
        old = jwt.encode(claims(), RSA_KEY, "RS256", {"kid": "one"})
        new = jwt.encode(claims(), OTHER_RSA_KEY, "RS256", {"kid": "two"})
        assert (await tokens.find(old)).user_id == 42
        assert len(asked) == 1
        keys["two"] = OTHER_RSA_KEY
        # Somebody who makes up names of keys does not get through to the login.
        assert "not known here" in await refused(tokens, new)
        assert len(asked) == 1
        monkeypatch.setattr("service.player_tokens._KEY_SET_REST_S", 0.0)
        assert (await tokens.find(new)).user_id == 42
        assert len(asked) == 2
        # Those that are known are not read for again.
        assert (await tokens.find(jwt.encode(claims(n=1), RSA_KEY, "RS256", {"kid": "one"}))).user_id == 42
        assert len(asked) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b'{"keys": []}', b"\xff", b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'])
async def test_a_set_that_cannot_be_read_is_the_services_trouble(body: bytes) -> None:
    token = jwt.encode(claims(), RSA_KEY, "RS256", {"kid": "one"})
    async with served(lambda: body) as (url, _):
        tokens = PlayerTokens(rules("RS256", key_set=url))
        with pytest.raises(Unavailable, match="Tokens cannot be checked now"):
            await tokens.find(token)
    gone = PlayerTokens(rules("RS256", key_set=url))
    with pytest.raises(Unavailable, match="Tokens cannot be checked now"):
        await gone.find(token)


async def test_a_login_that_is_away_stops_nobody_whose_key_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.player_tokens._KEY_SET_AGE_S_MAX", 0.0)
    monkeypatch.setattr("service.player_tokens._KEY_SET_REST_S", 0.0)
    async with served(lambda: key_set(one=RSA_KEY).encode()) as (url, _):
        tokens = PlayerTokens(rules("RS256", key_set=url))
        assert (await tokens.find(jwt.encode(claims(), RSA_KEY, "RS256", {"kid": "one"}))).user_id == 42
    assert (await tokens.find(jwt.encode(claims(n=1), RSA_KEY, "RS256", {"kid": "one"}))).user_id == 42


async def test_while_the_secret_is_replaced_both_hold() -> None:
    new = SECRET[::-1]
    made_with_new = jwt.encode(claims(sub="7"), new, "HS256")
    assert await refused(PlayerTokens(rules()), made_with_new) == "The token is not one that is accepted here."
    tokens = PlayerTokens(rules(secret_also=new))
    assert (await tokens.find(hs256())).user_id == 42
    assert (await tokens.find(made_with_new)).user_id == 7
    other = jwt.encode(claims(), "x" * 64, "HS256")
    assert await refused(tokens, other) == "The token is not one that is accepted here."
    assert await refused(tokens, jwt.encode(claims(exp=1), new, "HS256")) == "The token has expired; get a new one."


@pytest.mark.parametrize(
    ("algorithm", "given", "reason"),
    [
        ("HS256", {"secret": None}, "Tokens by HS256 need SHARDBOARD_JWT_SECRET, and no SHARDBOARD_JWT_JWKS."),
        ("HS256", {"key_set": "x"}, "Tokens by HS256 need SHARDBOARD_JWT_SECRET, and no SHARDBOARD_JWT_JWKS."),
        ("HS256", {"secret": "short"}, "SHARDBOARD_JWT_SECRET must have at least 32 bytes."),
        ("HS256", {"secret_also": "short"}, "SHARDBOARD_JWT_SECRET_ALSO must have at least 32 bytes."),
        ("RS256", {}, "Tokens by RS256 need SHARDBOARD_JWT_JWKS, and no SHARDBOARD_JWT_SECRET."),
        ("EdDSA", {"key_set": "x", "secret": SECRET}, "Tokens by EdDSA need SHARDBOARD_JWT_JWKS"),
    ],
)
def test_settings_that_do_not_fit_are_refused(algorithm: Algorithm, given: dict[str, Any], reason: str) -> None:
    with pytest.raises(OperatorError, match=reason):
        rules(algorithm, **given)
