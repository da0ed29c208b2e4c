"""Operations that clients name by an id instead of sending their text.

Automatic persisted queries, as Apollo's clients speak them: a client sends the hash of its document; where that is not
known, it sends hash and document, which is kept from then on. And the operator's list of operations, by their ids,
which can be the only ones that run.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping

from domain.errors import BadUserInput, Forbidden, NotFound, ShardboardError, Unavailable
from domain.tasks import end_tasks
from graph.request import GraphRequest
from ranking.documents import SharedDocuments

logger = logging.getLogger(__name__)

KNOWN_MAX = 1_000
"""Documents that one process keeps."""

# Documents on their way to the other processes; what comes beyond that is sent by its client to each of them.
_SHARING_MAX = 20

NOT_FOUND = "PersistedQueryNotFound"
"""By this message the clients know that they are to send the text."""


class PersistedOperations:
    """The documents that one process knows by their ids.

    Args:
        shared: those of all processes.
        listed: the operator's, by id.
        only: whether nothing else runs.
    """

    def __init__(self, shared: SharedDocuments, listed: Mapping[str, str], *, only: bool) -> None:
        self._shared = shared
        self._listed = listed
        self._allowed = frozenset(listed.values()) if only else None
        self._known: OrderedDict[str, str] = OrderedDict()
        self._sharing: set[asyncio.Task[None]] = set()

    async def find(self, document_id: str) -> str:
        """The text of a document.

        Raises:
            NotFound: it is not known; the client is to send it.
            Forbidden: only listed operations run, and it is none.
        """
        text = self._listed.get(document_id)
        if text is not None:
            return text
        if self._allowed is not None:
            raise _not_listed()
        text = self._known.get(document_id)
        if text is not None:
            self._known.move_to_end(document_id)
            return text
        try:
            text = await self._shared.find(document_id)
        except Unavailable:
            text = None
        if text is None or _hash(text) != document_id:
            raise NotFound(NOT_FOUND)
        self._remember(document_id, text)
        return text

    def check(self, request: GraphRequest) -> ShardboardError | None:
        """Why the text of `request` may not run."""
        if self._allowed is not None:
            return None if request.query in self._allowed else _not_listed()
        document_id = request.document_id
        if document_id is None or self._known.get(document_id) == request.query or document_id in self._listed:
            return None
        if _hash(request.query) == document_id:
            return None
        return BadUserInput("The document does not have the hash that was sent with it.")

    def keep(self, request: GraphRequest) -> None:
        """Know the document of `request`, which is valid, from now on, here and in the other processes."""
        document_id = request.document_id
        if document_id is None or document_id in self._known or document_id in self._listed:
            return
        self._remember(document_id, request.query)
        if len(self._sharing) < _SHARING_MAX:
            task = asyncio.get_running_loop().create_task(self._share(document_id, request.query))
            self._sharing.add(task)
            task.add_done_callback(self._sharing.discard)

    async def close(self) -> None:
        """End what is under way."""
        await end_tasks(list(self._sharing))

    def _remember(self, document_id: str, text: str) -> None:
        self._known[document_id] = text
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    async def _share(self, document_id: str, text: str) -> None:
        try:
            await self._shared.keep(document_id, text)
        except Unavailable:
            pass  # Redis is away: each process knows what its own clients sent it.
        except Exception:
            logger.exception("A persisted document could not be shared")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _not_listed() -> Forbidden:
    return Forbidden("Only the operations that the operator has listed run here; this is none of them.")
