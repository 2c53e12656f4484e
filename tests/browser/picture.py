"""Takes the picture of the page that the README shows: python -m tests.browser.picture docs/page.png.

The page is set in the system's typeface; with Debian's fonts-inter installed it is Inter.
"""

import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests import pictures
from tests.browser import visits
from tests.browser.visits import Visit
from tests.processes import serving
from tests.programs import need


def take(target: Path) -> None:
    """A drawn digit and its reading, as a PNG."""
    film = target.with_suffix(".y4m")
    film.write_bytes(pictures.film(7))
    try:
        with (
            serving() as server,
            sync_playwright() as playwright,
            visits.launch(playwright, need("chromium"), film) as browser,
        ):
            page = browser.new_page(viewport={"width": 1200, "height": 700})
            visit = Visit(page, server.url)
            page.goto(server.url)
            visit.draw(2)
            expect(visit["digit"]).to_have_text("2")
            page.wait_for_timeout(500)  # until the bars have grown
            page.screenshot(path=target)
    finally:
        film.unlink()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
