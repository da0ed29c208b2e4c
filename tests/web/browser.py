"""A page in a real Chromium that reaches nothing but the service, and remembers whatever went wrong in it."""

from __future__ import annotations

import os
import shutil
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, WebSocket

CHROMIUM = shutil.which(os.environ.get("CHROMIUM", "chromium"))

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No name leads anywhere and no address but this machine's is reached: what a page asks of the world fails.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

_SAY_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy violated: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
"""


class Watch:
    """What went wrong in the pages of a context: errors on the console, exceptions, foreign hosts.

    Args:
        origin: the service's; all other hosts are foreign.
    """

    def __init__(self, origin: str) -> None:
        self._host = urlsplit(origin).netloc
        self._problems: list[str] = []
        self._expected: list[str] = []

    @property
    def problems(self) -> list[str]:
        """All that was not expected."""
        return [problem for problem in self._problems if not any(part in problem for part in self._expected)]

    def expect(self, part: str) -> None:
        """Let problems pass that have `part` in them; for what a test brings about itself."""
        self._expected.append(part)

    async def add(self, context: BrowserContext) -> None:
        """Look at every page of `context` from now on."""
        await context.add_init_script(_SAY_VIOLATIONS)
        context.on("page", self._add_page)
        context.on("request", self._look_at_request)
        context.on("console", self._look_at_console)
        context.on("weberror", lambda error: self._problems.append(f"exception: {error.error}"))

    def _add_page(self, page: Page) -> None:
        page.on("websocket", self._look_at_socket)
        page.on("crash", lambda _: self._problems.append("the page crashed"))

    def _look_at_request(self, request: Request) -> None:
        self._look_at_url(request.url)

    def _look_at_socket(self, socket: WebSocket) -> None:
        self._look_at_url(socket.url)

    def _look_at_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self._host:
            self._problems.append(f"foreign host: {url}")

    def _look_at_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._problems.append(f"console: {message.text} ({message.location.get('url')})")
