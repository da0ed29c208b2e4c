"""GraphiQL as a person uses it: examples, the button that runs them, the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.waiting import until

# High enough for the editor to leave out no line of the answers that the tests read.
VIEWPORT = {"width": 1800, "height": 1400}

# Without line ends between them: the editor wraps, and nothing else in JSON needs any.
_READ_LINES = """
lines => lines.sort((a, b) => a.offsetTop - b.offsetTop).map(line => line.textContent).join("")
"""


class GraphiQL:
    """What is on one page of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.query = page.locator(".graphiql-query-editor")

    def example(self, field: str) -> Locator:
        """The button that opens the example of a field of the schema."""
        examples = self.page.get_by_role("region", name="Examples")
        return examples.get_by_role("button").filter(has=self.page.get_by_text(field, exact=True))

    async def open_example(self, field: str) -> None:
        """Click an example, and wait until the page has read it."""
        await self.example(field).click()
        await expect(self.query).to_contain_text(f"{field}(")
        # The name of the operation, which the tab shows and which is sent, follows what is typed after a moment.
        title = self.page.locator(".graphiql-tab-active .graphiql-tab-button")
        await expect(title).to_have_text(field[0].upper() + field[1:])

    async def run(self) -> None:
        """Press the button that runs the operation."""
        await self.page.get_by_role("button", name="Execute query").click()

    async def answer(self, wanted: Callable[[Any], object]) -> Any:
        """The `data` of the first answer shown for which `wanted` holds.

        Raises:
            AssertionError: there was none in time; it says what was shown at last.
        """
        seen: Any = None

        async def is_there() -> bool:
            nonlocal seen
            try:
                seen = json.loads(await self.shown())
            except ValueError:
                return False
            return bool(seen.get("data") and wanted(seen["data"]))

        try:
            await until(is_there)
        except TimeoutError:
            raise AssertionError(f"not the answer that was waited for: {seen}") from None
        return seen["data"]

    async def type_headers(self, headers: str) -> None:
        """Put something into the headers editor."""
        await self.page.get_by_role("button", name="Headers", exact=True).click()
        await self.page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden) .view-lines").click()
        await self.page.keyboard.insert_text(headers)

    async def shown(self) -> str:
        """The text of the answer, as far as the editor shows it."""
        lines: str = await self.page.locator(".graphiql-response .view-line").evaluate_all(_READ_LINES)
        return lines.replace("\xa0", " ")
