"""`GET /metrics`: for Prometheus as text, with `Accept: application/json` five numbers; not for everybody.

Names of shards, rates and queues help whoever wants to hurt the service. So it answers addresses of listed networks,
those of this machine if nothing is said, and who sends an admin key. What a proxy passes on counts as coming from
where the proxy says, and is refused where nobody vouches for that proxy: the whole world comes in by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from app.metrics.exposition import CONTENT_TYPE, write_text
from app.metrics.merge import read_merged
from app.metrics.summary import Summary
from domain.access import Scope
from domain.client_address import Network, is_from
from domain.errors import Forbidden, ShardboardError
from domain.metrics.instruments import Metrics
from graph.errors import status_of
from service.access import Access

_HEADERS = {"cache-control": "no-store", "vary": "Accept"}
_PROXY_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
_NOT_FOR_YOU = (
    "The metrics are for the networks of SHARDBOARD_METRICS_NETWORKS, and for who sends an admin key as "
    "`Authorization: Bearer …`."
)


class MetricsEndpoint:
    """Answers with what all API processes of this machine measured.

    Args:
        directory: where they keep their numbers; None: this process is alone.
        networks: who may read without a key.
    """

    def __init__(
        self, metrics: Metrics, directory: Path | None, summary: Summary, access: Access, networks: Sequence[Network]
    ) -> None:
        self._metrics = metrics
        self._directory = directory
        self._summary = summary
        self._access = access
        self._networks = tuple(networks)

    async def answer(self, request: Request) -> Response:
        """The answer to one request."""
        try:
            await self._require(request)
        except ShardboardError as error:
            return PlainTextResponse(f"{error}\n", status_of(error), _HEADERS)
        merged = read_merged(self._metrics, self._directory)
        if _wants_json(request.headers.get("accept", "")):
            return JSONResponse(self._summary.describe(merged), headers=_HEADERS)
        return Response(write_text(self._metrics, merged), headers=_HEADERS | {"content-type": CONTENT_TYPE})

    async def _require(self, request: Request) -> None:
        peer = request.client.host if request.client else ""
        authorization = request.headers.get("authorization")
        forwarded_for = ",".join(request.headers.getlist("x-forwarded-for"))
        if authorization is not None:
            # Who shows a credential is judged by that alone: a proxy may let nobody else pass.
            caller = await self._access.identify(authorization, peer, forwarded_for)
            if Scope.ADMIN not in caller.scopes:
                raise Forbidden(_NOT_FOR_YOU)
            return
        passed_on = any(name in request.headers for name in _PROXY_HEADERS)
        if not is_from(self._networks, peer, forwarded_for if passed_on else None, self._access.trusted_proxies):
            raise Forbidden(_NOT_FOR_YOU)


def _wants_json(accept: str) -> bool:
    """Whether JSON is asked for by name. Prometheus asks for several kinds of text, browsers and curl for anything."""
    kinds = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    return "application/json" in kinds and not any(
        kind.startswith(("text/plain", "application/openm")) for kind in kinds
    )
