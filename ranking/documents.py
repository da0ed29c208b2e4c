"""GraphQL documents that clients name by their hash, kept in Redis for all processes.

Anybody may have one kept, so there is room for so many of so many characters, and those that were asked for longest ago
go first: whoever fills it costs the others nothing but the text of their next request.
"""

from __future__ import annotations

from ranking.keys import DOCUMENTS_TEXTS, DOCUMENTS_USED
from ranking.store import Store

DOCUMENTS_MAX = 1_000
KEPT_S = 7 * 24 * 3600
"""How long all of them are kept when no new one comes."""


class SharedDocuments:
    """The documents of all processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, document_id: str) -> str | None:
        """The text of a document; None where it is not kept.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        text = await self._store.find_document((DOCUMENTS_TEXTS, DOCUMENTS_USED), (document_id,))
        return None if text is None else text.decode(errors="replace")

    async def keep(self, document_id: str, text: str) -> None:
        """Keep a document.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        await self._store.keep_document(
            (DOCUMENTS_TEXTS, DOCUMENTS_USED), (document_id, text.encode(), DOCUMENTS_MAX, KEPT_S)
        )
