from __future__ import annotations

import hashlib
import hmac
from typing import Any
from uuid import UUID

import msgspec
import pytest

from domain.access import Caller
from domain.errors import BadUserInput, Forbidden, OperatorError
from domain.signature import Demand, Signing, sign
from domain.submission import Submission

SECRET = b"a secret of the game, 32 bytes or more"
NOW = 1_795_000_000
ID = UUID("019aa0e2-7c00-7000-8000-000000000001")
SUBMISSION = Submission(ID, -42, "Ada “🎮”", 1200, "ranked", 0, recorded_us=1, id_given=True)
SERVER = Caller("key", "key:server")
PLAYER = Caller("player", "player:-42", user_id=-42)
SIGNING = Signing({"tetris": SECRET})


def signature(submission: Submission = SUBMISSION, time_s: int = NOW, game: str = "tetris") -> str:
    return f"t={time_s},k={game},v1={sign(SECRET, submission, time_s)}"


def check(given: str | None, submission: Submission = SUBMISSION, signing: Signing = SIGNING) -> None:
    signing.check(given, submission, PLAYER, NOW)


def test_what_is_signed_can_be_written_down_in_any_language() -> None:
    lines = (
        f"shardboard-submission-v1\n{NOW}\n019aa0e2-7c00-7000-8000-000000000001\n-42\n1200\n"
        "41646120e2809cf09f8eaee2809d\n72616e6b6564\n0"
    )
    assert sign(SECRET, SUBMISSION, NOW) == hmac.new(SECRET, lines.encode(), hashlib.sha256).hexdigest()
    bare = msgspec.structs.replace(SUBMISSION, game_mode=None, duration_seconds=None)
    lines = lines.removesuffix("72616e6b6564\n0") + "\n"
    assert sign(SECRET, bare, NOW) == hmac.new(SECRET, lines.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("age_s", [-300, 0, 300])
def test_the_right_signature_is_accepted_around_its_time(age_s: int) -> None:
    check(signature(time_s=NOW - age_s))


@pytest.mark.parametrize("age_s", [-301, 301, 10**6])
def test_a_signature_of_another_time_is_refused(age_s: int) -> None:
    with pytest.raises(Forbidden, match="signature is of another time"):
        check(signature(time_s=NOW - age_s))


@pytest.mark.parametrize(
    "changed",
    [
        {"id": UUID("019aa0e2-7c00-7000-8000-000000000002")},
        {"user_id": 42},
        {"username": "Ada"},
        {"score": 12000},
        {"game_mode": None},
        {"duration_seconds": None},
        {"duration_seconds": 1},
    ],
)
def test_another_content_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(Forbidden, match=r"input\.signature is not the one of this content\."):
        check(signature(), msgspec.structs.replace(SUBMISSION, **changed))


def test_a_time_that_was_changed_is_refused() -> None:
    with pytest.raises(Forbidden, match="not the one of this content"):
        check(signature().replace(f"t={NOW}", f"t={NOW + 1}"))


def test_a_game_without_a_secret_is_refused_like_a_wrong_signature() -> None:
    unknown = f"t={NOW},k=chess,v1={sign(bytes(32), SUBMISSION, NOW)}"
    with pytest.raises(Forbidden, match="not the one of this content"):
        check(unknown)


@pytest.mark.parametrize("given", ["", "v1=00", f"t={NOW},k=tetris,v1=" + "0" * 63, f"t=-1,k=tetris,v1={'0' * 64}"])
def test_what_is_no_signature_says_how_one_looks(given: str) -> None:
    with pytest.raises(BadUserInput, match="signature must be `t=<seconds>,k=<game>,v1=<64 hex digits>`"):
        check(given)


def test_a_signed_session_has_an_id_of_its_client() -> None:
    with pytest.raises(BadUserInput, match="submissionId must be given where there is a signature"):
        check(signature(), msgspec.structs.replace(SUBMISSION, id_given=False))


def test_who_must_sign() -> None:
    free: list[tuple[Demand, Caller]] = [("none", SERVER), ("none", PLAYER), ("players", SERVER)]
    for demand, caller in free:
        Signing({"tetris": SECRET}, demand).check(None, SUBMISSION, caller, NOW)
    bound: list[tuple[Demand, Caller]] = [("players", PLAYER), ("all", SERVER), ("all", PLAYER)]
    for demand, caller in bound:
        with pytest.raises(Forbidden, match=r"inputs\[3\]\.signature is missing: submissions must be signed here\."):
            Signing({"tetris": SECRET}, demand).check(None, SUBMISSION, caller, NOW, "inputs[3]")


def test_settings_that_protect_nothing_are_refused() -> None:
    with pytest.raises(OperatorError, match="signing secret of 'tetris' must have at least 32 bytes"):
        Signing({"tetris": b"short"})
    with pytest.raises(OperatorError, match="SHARDBOARD_SIGNING_SECRETS names no secret"):
        Signing({}, "all")
