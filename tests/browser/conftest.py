"""A real Chromium in front of a real service, and what every page must keep to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

from tests import pictures
from tests.browser import visits
from tests.browser.visits import Visit
from tests.processes import Server, serving
from tests.programs import need


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    need("chromium")
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium whose camera sees a sheet with a seven."""
    film = tmp_path_factory.mktemp("camera") / "seven.y4m"
    film.write_bytes(pictures.film(7))
    with visits.launch(playwright, need("chromium"), film) as browser:
        yield browser


@pytest.fixture(params=visits.DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def visit(browser: Browser, server: Server, device: str) -> Iterator[Visit]:
    """The page on a desktop and on a phone; at the end nothing may have gone wrong unseen."""
    with browser.new_context(**visits.DEVICES[device]) as context:
        yield from _visit(context, server.url)


@pytest.fixture
def desktop(browser: Browser, server: Server) -> Iterator[Visit]:
    with browser.new_context(**visits.DEVICES["desktop"]) as context:
        yield from _visit(context, server.url)


def _visit(context: BrowserContext, url: str) -> Iterator[Visit]:
    visit = Visit.begin(context, url)
    yield visit
    assert visit.console == []
    assert visit.violations() == []
    assert visit.foreign == []


@pytest.fixture(scope="package")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """46 digits, two blank pictures, a broken one and a text."""
    folder = tmp_path_factory.mktemp("fifty")
    for index in range(46):
        (folder / f"cell-{index:02}.png").write_bytes(pictures.png(index % 10, size=60 + index))
    (folder / "empty-1.png").write_bytes(pictures.blank())
    (folder / "empty-2.png").write_bytes(pictures.blank(90))
    (folder / "half.png").write_bytes(pictures.png(5)[:300])
    (folder / "=notes.txt").write_text("not a picture")
    return sorted(folder.iterdir())
