"""The board as a person uses it: rows, the connection light, the form."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

from tests.web.site import Site

# Remembers each way that a row was sent on, before anything can move.
RECORD_MOVES = """
window.moves = [];
const animate = Element.prototype.animate;
Element.prototype.animate = function (frames, options) {
    if (options.id === "move") window.moves.push({ player: this.dataset.player, from: frames[0].transform });
    return animate.call(this, frames, options);
};
"""

_READ_ROWS = """
rows => rows.map(row => [".rank", ".name", ".total"].map(part => row.querySelector(part).textContent).join(" | "))
"""


class Board:
    """What is on one page of the board."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.light: Locator = page.locator(".light")
        self.heading: Locator = page.get_by_role("heading", level=1)

    async def rows(self) -> list[str]:
        """The rows of the table as `rank | name | total`."""
        rows: list[str] = await self.page.locator(".row").evaluate_all(_READ_ROWS)
        return rows

    async def shows(self, *names: str) -> None:
        """Wait until the table holds exactly these players, in this order."""
        await expect(self.page.locator(".row .name")).to_have_text(list(names))

    async def is_live(self) -> None:
        """Wait until the light says that what is shown is current."""
        await expect(self.light).to_have_text("Connection: Live")

    def row(self, user_id: int) -> Locator:
        """The row of one player."""
        return self.page.locator(f'.row[data-player="{user_id}"]')


async def submit_players(site: Site, count: int) -> None:
    """Players 1 to `count`, named `Player 001` and so on, the first with the best total: `count` times 100."""
    results = await site.query(
        "mutation ($inputs: [SubmitScoreInput!]!) { submitScores(inputs: $inputs) { error { message } } }",
        inputs=[
            {"userId": str(user_id), "username": f"Player {user_id:03}", "score": (count + 1 - user_id) * 100}
            for user_id in range(1, count + 1)
        ],
    )
    assert [result["error"] for result in results["submitScores"]] == [None] * count
