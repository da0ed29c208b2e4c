"""Signed submissions: proof that a session comes from the game itself, as far as its secret is kept there.

A signature is `t=<seconds since 1970>,k=<name of the game's secret>,v1=<HMAC-SHA256 in hex>`, in the manner of
Stripe's webhooks, over these lines, joined by a newline:

    shardboard-submission-v1
    <t>
    <submissionId in lower case with hyphens>
    <userId in decimal>
    <score in decimal>
    <username, trimmed, as the hex of its UTF-8>
    <gameMode as the hex of its UTF-8; empty where there is none>
    <durationSeconds in decimal; empty where there is none>

Texts are written as hex so that none of them can pass for a line. A signature is good for the session it was made for
and no other, and only around its time; sent again within that time, the session counts once like any repeated one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.access import Caller
from domain.errors import BadUserInput, Forbidden, OperatorError
from domain.submission import GRAPH_NAMES, InputNames, Submission

SIGNATURE_AGE_S_MAX = 300
SIGNING_SECRET_BYTES_MIN = 32

Demand = Literal["none", "players", "all"]
"""Whose submissions must be signed: nobody's, those sent with a player's token, everybody's. A signature that is given
is always checked."""

_SIGNATURE = re.compile(r"t=([0-9]{1,12}),k=([A-Za-z0-9_.-]{1,50}),v1=([0-9a-f]{64})", re.ASCII)
SIGNATURE_PATTERN = f"^{_SIGNATURE.pattern}$"
"""The form of a signature, for descriptions."""
_VERSION = "shardboard-submission-v1"


@dataclass(frozen=True, slots=True)
class Signing:
    """Which signatures there must be.

    Attributes:
        secrets: by the name of the game.
    """

    secrets: Mapping[str, bytes]
    demand: Demand = "none"

    def __post_init__(self) -> None:
        short = [name for name, secret in self.secrets.items() if len(secret) < SIGNING_SECRET_BYTES_MIN]
        if short:
            raise OperatorError(
                f"The signing secret of {short[0]!r} must have at least {SIGNING_SECRET_BYTES_MIN} bytes."
            )
        if self.demand != "none" and not self.secrets:
            raise OperatorError("Signatures are demanded, but SHARDBOARD_SIGNING_SECRETS names no secret.")

    def check(
        self,
        signature: str | None,
        submission: Submission,
        caller: Caller,
        now_s: float,
        where: str = "input",
        names: InputNames = GRAPH_NAMES,
    ) -> None:
        """Refuse a submission that is not signed as it must be.

        Args:
            where: the path of the input in the request, for the messages.
            names: what its fields are called there.

        Raises:
            Forbidden: it must be signed and is not, or the signature is wrong, or of another time.
            BadUserInput: the signature is not of the right form, or there is no submissionId.
        """
        at = names.within(where)
        if signature is None:
            if self.demand == "all" or (self.demand == "players" and caller.kind == "player"):
                raise Forbidden(f"{at}{names.signature} is missing: submissions must be signed here.")
            return
        match = _SIGNATURE.fullmatch(signature)
        if match is None:
            raise BadUserInput(f"{at}{names.signature} must be `t=<seconds>,k=<game>,v1=<64 hex digits>`.")
        if not submission.id_given:
            raise BadUserInput(
                f"{at}{names.submission_id} must be given where there is a signature: it is signed, too."
            )
        time_s, game, given = int(match[1]), match[2], match[3]
        secret = self.secrets.get(game)
        # As long for a game that there is not as for one that there is.
        right = sign(secret or bytes(SIGNING_SECRET_BYTES_MIN), submission, time_s)
        if not hmac.compare_digest(right, given) or secret is None:
            raise Forbidden(f"{at}{names.signature} is not the one of this content.")
        if abs(now_s - time_s) > SIGNATURE_AGE_S_MAX:
            raise Forbidden(
                f"{at}{names.signature} is of another time: it may be {SIGNATURE_AGE_S_MAX} s old; sign it anew, and "
                "check the clock of the machine that signs."
            )


def sign(secret: bytes, submission: Submission, time_s: int) -> str:
    """The HMAC of a submission's content and a time, in hex."""
    lines = (
        _VERSION,
        str(time_s),
        str(submission.id),
        str(submission.user_id),
        str(submission.score),
        submission.username.encode().hex(),
        (submission.game_mode or "").encode().hex(),
        "" if submission.duration_seconds is None else str(submission.duration_seconds),
    )
    return hmac.new(secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
