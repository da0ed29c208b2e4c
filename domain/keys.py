"""API keys: how they are made, written and recognised.

A key is `sb_<kind>_<id>_<secret>`. The id names it in lists and logs; of the secret only a hash is kept. It has 256
random bits, so that a plain SHA-256 cannot be guessed back: slow hashes are for passwords that people choose.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.access import Scope

KeyKind = Literal["server", "admin"]

DEFAULT_SCOPES: dict[KeyKind, frozenset[Scope]] = {
    "server": frozenset({Scope.READ, Scope.SUBMIT}),
    "admin": frozenset(Scope),
}

KEY_ID_LENGTH = 12
LABEL_LENGTH_MAX = 100
KEY_PER_MINUTE_MAX = 10_000_000

_KEY_ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # without l, o, 0, 1: ids are read out and typed
_KEY = re.compile(rf"sb_(?:server|admin)_([a-z2-9]{{{KEY_ID_LENGTH}}})_[A-Za-z0-9_-]{{43}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as it is kept.

    Attributes:
        secret_sha256: of the whole text of the key.
        submissions_per_minute, reads_per_minute: 0 for no limit.
        expires_at, revoked_at: None for never.
    """

    id: str
    kind: KeyKind
    label: str
    secret_sha256: bytes
    scopes: frozenset[Scope]
    submissions_per_minute: int
    reads_per_minute: int
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> Literal["active", "revoked", "expired"]:
        """Whether it works at `now`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def make_key_text(kind: KeyKind) -> tuple[str, str]:
    """A new key: its id, and its whole text, which is shown once and kept nowhere."""
    key_id = "".join(secrets.choice(_KEY_ID_ALPHABET) for _ in range(KEY_ID_LENGTH))
    return key_id, f"sb_{kind}_{key_id}_{secrets.token_urlsafe(32)}"


def key_id_of(text: str) -> str | None:
    """The id in the text of a key; None for what is no key of this form."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None


def hash_key(text: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def merge_keys(*told: list[ApiKey]) -> dict[str, ApiKey]:
    """One list of keys from what several shards hold, by id: a key that any of them knows as revoked is revoked."""
    merged: dict[str, ApiKey] = {}
    for key in (key for keys in told for key in keys):
        known = merged.get(key.id)
        if known is None or (key.revoked_at is not None and known.revoked_at is None):
            merged[key.id] = key
    return merged
