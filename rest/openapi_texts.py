"""What the OpenAPI document says in words."""

from __future__ import annotations

from domain.errors import ErrorCode

INTRODUCTION = """\
The same service as over GraphQL at `/graphql`, for clients without it: the same keys, limits and promises.

**Credentials.** Reading is open unless the operator closed it; submitting needs `Authorization: Bearer …` with a server
key or a player's token, which submits for that player alone.

**Retries.** Give each played session a UUIDv7, as `submission_id` or in the header `Idempotency-Key`. The same id with
the same content counts once, however often it is sent.

**Numbers.** User ids are signed 64-bit integers. They are taken as JSON numbers or as strings in decimal, and always
given as JSON numbers; if yours exceed ±9007199254740991, read them as big integers. Scores and totals never do.

**Errors** are problem details (RFC 9457) of the type `application/problem+json`; `code` tells them apart, `detail` says
what to do. `UNAVAILABLE` is worth another try with the same id, after `Retry-After` seconds where that header is there.

**Limits** are those of GraphQL: a POST is a submission, a GET or HEAD a read, 304 included.
"""

RATE_LIMIT_HEADERS = {
    "RateLimit-Limit": "How many the caller may send a minute; missing where nothing limits it, as are the others.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "After how many seconds there are more.",
    "RateLimit-Policy": "The limit and its window in seconds, such as `60;w=60`.",
    "Retry-After": "After how many seconds another try is worth it.",
}

REQUEST_ID = "The id of the request: the one sent in a header of this name, or one that was made. The log has it, too."

# For each status: when it is given, and the code and the detail of one such problem.
PROBLEMS: dict[int, tuple[str, ErrorCode, str]] = {
    400: (
        "Something that was sent can never work as it is. Nothing was changed.",
        ErrorCode.BAD_USER_INPUT,
        "limit must lie between 1 and 100; got 101.",
    ),
    401: (
        "There is no credential where one is needed, or it is not good.",
        ErrorCode.UNAUTHENTICATED,
        "The token has expired; get a new one.",
    ),
    403: (
        "The credential does not allow this, or a signature is missing or wrong.",
        ErrorCode.FORBIDDEN,
        "A player's token submits for that player alone, who is 42; got 7.",
    ),
    404: (
        "Nobody of this id ever played.",
        ErrorCode.NOT_FOUND,
        "There is no player 7: nobody of this id has a score.",
    ),
    409: (
        "The submission id was used before, with other content. Nothing was changed.",
        ErrorCode.CONFLICT,
        "submission_id 019aa0e2-7c00-7000-8000-00000000002a was used before with other content; a retry must repeat "
        "the session exactly, another session needs an id of its own.",
    ),
    413: (
        "The body is too long.",
        ErrorCode.BAD_USER_INPUT,
        "The body may have 65536 bytes.",
    ),
    415: (
        "The body is not JSON by its `Content-Type`.",
        ErrorCode.BAD_USER_INPUT,
        "The body must be sent as Content-Type: application/json.",
    ),
    429: (
        "The caller has sent all that it may send a minute. Nothing was changed.",
        ErrorCode.RATE_LIMITED,
        "An address without a key may send 60 reads a minute; try again in 60 s.",
    ),
    500: (
        "A fault of the service; the log has it under the `id` of the problem.",
        ErrorCode.INTERNAL_SERVER_ERROR,
        "Internal server error.",
    ),
    503: (
        "A part that this needs does not answer, or there is too much to do. Safe to send again with the same id.",
        ErrorCode.UNAVAILABLE,
        "Shard shard2 does not answer; try again with the same submission_id.",
    ),
    504: (
        "It took too long. What was submitted may have been recorded: send it again with the same id.",
        ErrorCode.UNAVAILABLE,
        "The request took longer than 5 s and was given up; what it wrote may have been recorded, so retry it with the "
        "same submission_id.",
    ),
}
