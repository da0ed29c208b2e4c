"""The root fields that write."""

# Descriptions in the schema stand for docstrings, and Strawberry types its decorators with arguments as Any.
# ruff: noqa: D101, D102
# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import strawberry

from domain import standing as domain
from domain.board import INPUTS_MAX
from domain.errors import BadUserInput, Forbidden, RateLimited, ShardboardError
from domain.submission import Submission
from graph.context import Info
from graph.errors import code_and_message
from graph.inputs import SubmitScoreInput
from graph.types import SubmitScoreError, SubmitScorePayload, SubmitScoreResult
from service.admit import admit_bulk, check_submission
from service.submit import submit_score, submit_scores


@strawberry.type
class Mutation:
    @strawberry.mutation(
        graphql_type=SubmitScorePayload,
        description=(
            "Record one played session and add it to every board that counts it, in one transaction on the player's "
            "shard."
        ),
    )
    async def submit_score(self, info: Info, input: SubmitScoreInput) -> domain.Recorded:
        parts = info.context.parts
        submission = input.checked(parts.id_window, "input")
        check_submission(parts.access, info.context.caller, submission, input.signature, "input")
        return await submit_score(parts, submission)

    @strawberry.mutation(
        description=(
            "Record up to 1000 sessions, of any players, in one request. Each input stands alone: the answer has one\n"
            "result per input, in the same order, and one bad input fails nothing but itself."
        )
    )
    async def submit_scores(self, info: Info, inputs: list[SubmitScoreInput]) -> list[SubmitScoreResult]:
        if not 1 <= len(inputs) <= INPUTS_MAX:
            raise BadUserInput(f"inputs must have 1 to {INPUTS_MAX} entries; got {len(inputs)}.")
        context = info.context
        access, window = context.parts.access, context.parts.id_window
        admitted, context.refusal = await admit_bulk(access, context.caller, len(inputs))
        checked: list[Submission | ShardboardError] = []
        for index, one in enumerate(inputs):
            where = f"inputs[{index}]"
            try:
                if index >= admitted and context.refusal is not None:
                    raise context.refusal
                submission = one.checked(window, where)
                check_submission(access, context.caller, submission, one.signature, where)
                checked.append(submission)
            except (BadUserInput, Forbidden, RateLimited) as error:
                checked.append(error)
        return [_result(outcome) for outcome in await submit_scores(context.parts, checked)]


def _result(outcome: domain.Recorded | Exception) -> SubmitScoreResult:
    if isinstance(outcome, Exception):
        code, message = code_and_message(outcome)
        return SubmitScoreResult(payload=None, error=SubmitScoreError(code=code, message=message))
    return SubmitScoreResult(payload=outcome, error=None)  # type: ignore[arg-type]  # the source of a payload
