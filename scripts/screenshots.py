"""Takes the pictures of the board for the README: docs/images/board-{desktop,phone}-{light,dark}.png.

    .venv/bin/python scripts/screenshots.py

Starts a service of its own on a free port, seeds it, and opens the board in Chromium (CHROMIUM names another one). The
players have names in many scripts: have fonts for them, such as Debian's fonts-noto-core and fonts-noto-cjk.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from infra.local.ports import find_free_port

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
SHARDBOARD = ("-m", "app.cli.main")

PLAYERS, SESSIONS = 20_000, 200_000
# Width and height in CSS pixels, and how many dots a pixel has.
SCREENS = {"desktop": (1280, 906, 1), "phone": (390, 844, 2)}
SCHEMES = ("light", "dark")

IMAGE_BYTES_MAX = 300_000
START_SECONDS_MAX = 60


async def main() -> None:
    """Take all pictures, and complain of one that is too large for a README."""
    chromium = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    if chromium is None:
        sys.exit("Chromium is not installed: apt-get install chromium, or name one with CHROMIUM=…")
    await run("scripts/web.py", "build")
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with seeded_service() as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for screen in SCREENS:
            for scheme in SCHEMES:
                image = await take(browser, url, screen, scheme)
                print(f"{image.relative_to(ROOT)}: {image.stat().st_size} bytes")
                if image.stat().st_size > IMAGE_BYTES_MAX:
                    sys.exit(f"that is more than {IMAGE_BYTES_MAX} bytes")
        await browser.close()


@asynccontextmanager
async def seeded_service() -> AsyncIterator[str]:
    """The address of a service with invented players, which ends with the block."""
    port = find_free_port(set())
    with tempfile.TemporaryDirectory(prefix="shardboard-") as directory:
        data = ["--data", f"{directory}/data"]
        command = [sys.executable, *SHARDBOARD, "up", "--port", str(port), *data]
        service = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        assert service.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                async for line in service.stdout:
                    if line.startswith(b"Shardboard is up"):
                        break
                else:
                    sys.exit("the service did not start")
            await run(*SHARDBOARD, "seed", "--players", str(PLAYERS), "--sessions", str(SESSIONS), *data)
            yield f"http://127.0.0.1:{port}"
        finally:
            if service.returncode is None:
                service.terminate()
            await service.communicate()


async def run(*arguments: str) -> None:
    """Run Python in the checkout, and end with it when it fails."""
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT)
    if await process.wait():
        sys.exit(f"{' '.join(arguments)} failed")


async def take(browser: Browser, url: str, screen: str, scheme: str) -> Path:
    """One picture of the board, when it is live and still."""
    width, height, scale = SCREENS[screen]
    page = await browser.new_page(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        is_mobile=screen == "phone",
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        locale="en",
        timezone_id="UTC",
    )
    await page.goto(url)
    # The form is the last to come, and moves what is beside it.
    await page.locator("aside form").wait_for()
    await page.locator(".row").nth(9).wait_for()
    await page.get_by_text("Connection: Live").wait_for()
    image = IMAGES / f"board-{screen}-{scheme}.png"
    await page.screenshot(path=image)
    await page.close()
    return image


if __name__ == "__main__":
    asyncio.run(main())
