"""A process with limits, players' tokens and signatures, and those who send it something."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import jwt

from tests.acceptance.client import Api

SECRET = "a secret of the game's login, of 32 bytes or more"
SIGNING_SECRET = "a secret of the game itself, of 32 bytes or more"
VARIABLES = {
    "SHARDBOARD_ADDRESS_READS_PER_MINUTE": "3",
    "SHARDBOARD_PLAYER_READS_PER_MINUTE": "2",
    "SHARDBOARD_JWT_ALGORITHM": "HS256",
    "SHARDBOARD_JWT_SECRET": SECRET,
    "SHARDBOARD_JWT_ISSUER": "login",
    "SHARDBOARD_SIGNING_SECRETS": f'{{"tetris": "{SIGNING_SECRET}"}}',
    "SHARDBOARD_TRUSTED_PROXIES": '["127.0.0.0/8"]',
}

numbers = count(1)


@asynccontextmanager
async def sender(url: str, credential: str | None, address: str | None = None) -> AsyncIterator[Api]:
    """Somebody who comes through a proxy from an address, one of its own unless it is given."""
    api = Api(url, credential)
    api.http.headers["x-forwarded-for"] = address or f"198.51.100.{next(numbers)}"
    try:
        yield api
    finally:
        await api.http.aclose()


def token(user_id: int = 42, **changed: Any) -> str:
    claims = {"sub": str(user_id), "aud": "shardboard", "iss": "login", "exp": int(time.time()) + 600} | changed
    return jwt.encode(claims, SECRET, "HS256")
