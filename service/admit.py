"""Let in what a caller may do, and count it."""

from __future__ import annotations

import time

from domain.access import Caller
from domain.errors import RateLimited
from domain.metrics.catalogue import REFUSALS
from domain.submission import GRAPH_NAMES, InputNames, Submission
from service.access import Access
from service.rate_limits import Allowance


async def admit_reads(access: Access, caller: Caller, count: int) -> Allowance | None:
    """Count `count` reads of a caller; gives what is left, None where nothing limits it.

    Raises:
        Unauthenticated, Forbidden: the caller may not read.
        RateLimited: not so often.
    """
    caller.require_read()
    return await access.limits.take(caller, "reads", count)


async def admit_submissions(access: Access, caller: Caller, count: int) -> Allowance | None:
    """Count `count` submissions of a caller that stand or fall together; gives what is left.

    Raises:
        Unauthenticated, Forbidden: the caller may not submit.
        RateLimited: not so often.
    """
    caller.require_submit()
    return await access.limits.take(caller, "submissions", count)


async def admit_bulk(access: Access, caller: Caller, count: int) -> tuple[int, RateLimited | None]:
    """Count as many of `count` submissions as the caller has left: how many, and the refusal of the others.

    Raises:
        Unauthenticated, Forbidden: the caller may not submit.
    """
    caller.require_submit()
    if caller.submissions_per_minute == 0:
        return count, None
    taken, refusal = await access.limits.take_up_to(caller, "submissions", count)
    if refusal is not None:
        # The request is answered with OK; one that is refused whole is counted by its code.
        REFUSALS.of("rate_limit").add()
    return taken, refusal


def check_submission(
    access: Access,
    caller: Caller,
    submission: Submission,
    signature: str | None,
    where: str,
    names: InputNames = GRAPH_NAMES,
) -> None:
    """Refuse a submission that the caller may not send.

    Args:
        where: the path of the input in the request, for the messages.
        names: what its fields are called there.

    Raises:
        Forbidden: it is another player's, or not signed as it must be.
        BadUserInput: its signature cannot be read.
    """
    caller.require_submit_for(submission.user_id)
    access.signing.check(signature, submission, caller, time.time(), where, names)
