"""Players' tokens: JWTs that the game's own login issues; the service only checks them (RFC 7519, RFC 8725)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jwt
from jwt import PyJWK, PyJWKSet

from domain.access import Caller, Scope
from domain.errors import BadUserInput, OperatorError, Unauthenticated, Unavailable
from domain.ids import parse_user_id
from service.fetch_json import FetchError, fetch_json

logger = logging.getLogger(__name__)

Algorithm = Literal["HS256", "RS256", "EdDSA"]

TOKEN_LENGTH_MAX = 4096
SECRET_BYTES_MIN = 32
"""An HMAC key is as long as its hash, or longer (RFC 7518, 3.2)."""

_KEPT_MAX = 10_000
# A rotated key set is read anew so often; a token signed with an unknown key asks for it at once, but not more often.
_KEY_SET_AGE_S_MAX = 300.0
_KEY_SET_REST_S = 10.0
# Who sends a token of an unknown key waits for the set no longer than this.
_ASK_S_MAX = 1.0

_SCOPES = frozenset({Scope.READ, Scope.SUBMIT})


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Which tokens are accepted.

    Attributes:
        algorithm: the only one; what a token's header says is never followed.
        secret: for HS256. key_set: for the others, a JWKS as a file's path or an http(s) URL.
        secret_also: another one for HS256, while the secret is being replaced.
        audience, issuer: what `aud` and `iss` must hold.
        leeway_s: how far clocks may differ.
        submissions_per_minute, reads_per_minute: of one player.
    """

    algorithm: Algorithm
    audience: str
    issuer: str
    secret: str | None = None
    secret_also: str | None = None
    key_set: str | None = None
    leeway_s: float = 10.0
    submissions_per_minute: int = 5
    reads_per_minute: int = 600

    def __post_init__(self) -> None:
        if self.algorithm == "HS256":
            if self.secret is None or self.key_set is not None:
                raise OperatorError("Tokens by HS256 need SHARDBOARD_JWT_SECRET, and no SHARDBOARD_JWT_JWKS.")
            for name, secret in (("", self.secret), ("_ALSO", self.secret_also)):
                if secret is not None and len(secret.encode()) < SECRET_BYTES_MIN:
                    raise OperatorError(f"SHARDBOARD_JWT_SECRET{name} must have at least {SECRET_BYTES_MIN} bytes.")
        elif self.key_set is None or self.secret is not None or self.secret_also is not None:
            raise OperatorError(f"Tokens by {self.algorithm} need SHARDBOARD_JWT_JWKS, and no SHARDBOARD_JWT_SECRET.")


class PlayerTokens:
    """Checks tokens; those that were good are remembered until they expire."""

    def __init__(self, rules: TokenRules) -> None:
        self._rules = rules
        self._kept: OrderedDict[str, Caller] = OrderedDict()
        self._keys: dict[str | None, PyJWK] = {}
        self._keys_read_at = float("-inf")
        self._keys_asked_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def find(self, token: str) -> Caller:
        """Whose token this is.

        Raises:
            Unauthenticated: it is none that is accepted; says why, but nothing of its content.
            Unavailable: the set of keys cannot be read.
        """
        caller = self._kept.get(token)
        if caller is None:
            caller = await self._check(token)
            self._kept[token] = caller
            if len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)
        elif caller.expires_at is not None and caller.expires_at <= time.time():
            del self._kept[token]
            raise Unauthenticated("The token has expired; get a new one.")
        return caller

    async def _check(self, token: str) -> Caller:
        if len(token) > TOKEN_LENGTH_MAX:
            raise Unauthenticated(f"The token is longer than {TOKEN_LENGTH_MAX} characters.")
        rules = self._rules
        try:
            try:
                claims = self._decode(token, rules.secret or await self._key_of(token))
            except jwt.InvalidSignatureError:
                if rules.secret_also is None:
                    raise
                claims = self._decode(token, rules.secret_also)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired; get a new one.") from None
        except jwt.InvalidAudienceError:
            raise Unauthenticated("The token is for another audience.") from None
        except jwt.InvalidIssuerError:
            raise Unauthenticated("The token is of another issuer.") from None
        except jwt.ImmatureSignatureError:
            raise Unauthenticated("The token is not valid yet; check the clock of the machine that made it.") from None
        except jwt.MissingRequiredClaimError as error:
            raise Unauthenticated(f"The token lacks the claim {error.claim}.") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthenticated("The token is not one that is accepted here.") from None
        try:
            user_id = parse_user_id(claims["sub"], "sub")
        except BadUserInput:
            raise Unauthenticated("The claim sub of the token must be the player's id in decimal.") from None
        return Caller(
            "player",
            f"player:{user_id}",
            _SCOPES,
            user_id=user_id,
            expires_at=float(claims["exp"]) + rules.leeway_s,
            submissions_per_minute=rules.submissions_per_minute,
            reads_per_minute=rules.reads_per_minute,
        )

    def _decode(self, token: str, key: str | PyJWK) -> dict[str, Any]:
        rules = self._rules
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[rules.algorithm],
            audience=rules.audience,
            issuer=rules.issuer,
            leeway=rules.leeway_s,
            options={"require": ["exp", "sub", "aud", "iss"]},
        )
        return claims

    async def _key_of(self, token: str) -> PyJWK:
        key_id = jwt.get_unverified_header(token).get("kid")
        if time.monotonic() - self._keys_read_at > _KEY_SET_AGE_S_MAX or key_id not in self._keys:
            await self._read_keys_soon()
        if not self._keys:
            raise Unavailable("Tokens cannot be checked now: the set of keys is not there; try again shortly.")
        key = self._keys.get(key_id)
        if key is None:
            raise Unauthenticated("The token is signed with a key that is not known here.")
        return key

    async def _read_keys_soon(self) -> None:
        """Read the set of keys, unless that was just tried; the old one holds while it cannot be read."""
        if self._reading is None and time.monotonic() - self._keys_asked_at > _KEY_SET_REST_S:
            self._keys_asked_at = time.monotonic()
            self._reading = asyncio.create_task(self._read_keys())
        # Tokens of keys that are known need not wait for a newer set.
        if self._reading is not None and (not self._keys or time.monotonic() - self._keys_read_at < _KEY_SET_AGE_S_MAX):
            await asyncio.wait([self._reading], timeout=_ASK_S_MAX)

    async def _read_keys(self) -> None:
        try:
            self._keys = await self._load_keys()
            self._keys_read_at = time.monotonic()
        except (FetchError, jwt.PyJWTError, OSError, ValueError, RecursionError) as error:
            logger.warning("the set of keys for players' tokens was not read: %s", error)
        finally:
            self._reading = None

    async def _load_keys(self) -> dict[str | None, PyJWK]:
        source = self._rules.key_set
        assert source is not None
        if source.startswith(("http://", "https://")):
            text = await fetch_json(source)
        else:
            text = await asyncio.to_thread(Path(source).read_text, encoding="utf-8")
        usable = [key for key in PyJWKSet.from_json(text).keys if _fits(key, self._rules.algorithm)]
        keys: dict[str | None, PyJWK] = {key.key_id: key for key in usable}
        if len(usable) == 1:
            # A token without `kid` is of the only key that there is.
            keys[None] = usable[0]
        return keys


def _fits(key: PyJWK, algorithm: Algorithm) -> bool:
    kind = {"RS256": "RSA", "EdDSA": "OKP"}.get(algorithm)
    return key.key_type == kind and key.public_key_use in (None, "sig")
