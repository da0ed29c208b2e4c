"""Faults of the service: logged whole, and outside nothing but an id by which the log has them."""

from __future__ import annotations

import logging

from domain.requests import current_request_id

logger = logging.getLogger(__name__)

MASKED_MESSAGE = "Internal server error."


def log_fault(error: BaseException, place: str = "request", **extra: object) -> str:
    """Log what nobody expected.

    Args:
        place: where in the request it happened.
        extra: more for the log's record.

    Returns:
        The id that it has in the log: that of the request, where there is one.
    """
    error_id = current_request_id()
    logger.error("Unexpected error %s at %s", error_id, place, exc_info=error, extra={"error_id": error_id, **extra})
    return error_id
