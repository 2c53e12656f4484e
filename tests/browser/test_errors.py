"""What the page says when something is wrong: in plain words, and in a way that one can go on from."""

import json
from pathlib import Path

from playwright.sync_api import Browser, Route, expect

from tests import pictures
from tests.browser import visits
from tests.browser.visits import Visit
from tests.processes import serving

SEVEN = pictures.png(7)


def refuse(route: Route, status: int, code: str, **headers: str) -> None:
    problem = {"status": status, "code": code, "title": code, "detail": code, "request_id": "r1"}
    route.fulfill(status=status, body=json.dumps(problem), content_type="application/problem+json", headers=headers)


def test_a_file_that_is_no_picture(visit: Visit) -> None:
    visit.drop("notes.txt", b"not a picture")
    expect(visit["problem"]).to_contain_text("This is not a picture that can be read.")
    expect(visit["problem"]).to_be_in_viewport()
    visit.drop("7.png", SEVEN)
    expect(visit["digit"]).to_have_text("7")
    expect(visit["problem"]).to_be_empty()


def test_too_large_and_then_a_service_that_was_stopped(browser: Browser, tmp_path: Path) -> None:
    with serving(DIGITS_MAX_IMAGE_BYTES="20000") as server, browser.new_context(**visits.DEVICES["phone"]) as context:
        visit = Visit.begin(context, server.url)
        visit.drop("large.bmp", pictures.encode(pictures.draw(7, 400), "BMP"))
        expect(visit["problem"]).to_contain_text("This is too large.")
        expect(visit["problem"]).to_contain_text("at most 20000")
        visit.drop("7.png", SEVEN)
        expect(visit["digit"]).to_have_text("7")
        server.process.terminate()
        server.process.wait(30)
        visit["tab-draw"].click()
        visit.draw(7)
        expect(visit["problem"]).to_contain_text("The service does not answer.")
        expect(visit["problem"].get_by_role("button", name="Try again")).to_be_visible()


def test_a_busy_service_is_asked_again_after_the_time_it_names(desktop: Visit) -> None:
    refusals = iter(["1", "1"])

    def answer(route: Route) -> None:
        seconds = next(refusals, None)
        refuse(route, 429, "overloaded", **{"Retry-After": seconds}) if seconds else route.continue_()

    desktop.page.route("**/predict*", answer)
    desktop.draw(7)
    expect(desktop["problem"]).to_contain_text("The service is busy. Trying again in 1")
    expect(desktop["digit"]).to_have_text("7")
    expect(desktop["problem"]).to_be_empty()


def test_a_service_that_stays_busy_can_be_asked_again_by_hand(desktop: Visit) -> None:
    desktop.page.route("**/predict*", lambda route: refuse(route, 429, "overloaded", **{"Retry-After": "1"}))
    desktop.draw(7)
    again = desktop["problem"].get_by_role("button", name="Try again")
    expect(again).to_be_visible(timeout=10000)
    expect(desktop["problem"]).to_contain_text("turned this one away")
    desktop.page.unroute("**/predict*")
    again.click()
    expect(desktop["digit"]).to_have_text("7")


def test_many_files_go_on_where_the_service_failed(desktop: Visit, fifty: list[Path]) -> None:
    requests: list[str] = []

    def answer(route: Route) -> None:
        requests.append(route.request.url)
        route.abort() if len(requests) == 2 else route.continue_()

    desktop.page.route("**/predict/batch*", answer)
    desktop.choose(*fifty)
    desktop["problem"].get_by_role("button", name="Try again").click()
    expect(desktop["gallery-summary"]).to_have_text("50 read, 46 need no second look", timeout=15000)
    expect(desktop["problem"]).to_be_empty()


def test_a_service_that_takes_less_at_once_gets_less(browser: Browser, fifty: list[Path]) -> None:
    with serving(DIGITS_MAX_BATCH_ITEMS="8") as server, browser.new_context() as context:
        visit = Visit.begin(context, server.url)
        visit.choose(*fifty)
        expect(visit["gallery-summary"]).to_have_text("50 read, 46 need no second look", timeout=15000)
        names = visit.page.locator(".tile-name").all_text_contents()
        assert names == [path.name for path in fifty]


def test_a_service_with_keys_is_given_one(browser: Browser) -> None:
    """A wrong key is asked for again; the right one is kept for the tab."""
    with serving(DIGITS_API_KEYS="right") as server, browser.new_context() as context:
        visit = Visit.begin(context, server.url)
        visit.draw(7)
        expect(visit["key-title"]).to_have_text("This service asks for an API key")
        for key in ("wrong", "right"):
            visit["key"].fill(key)
            visit.page.keyboard.press("Enter")
            if key == "wrong":
                expect(visit["key-title"]).to_have_text("The service does not know this API key")
        expect(visit["digit"]).to_have_text("7")
        visit.page.reload()
        visit.draw(7)
        expect(visit["digit"]).to_have_text("7")
        assert visit.page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        assert visit.console == []


def test_no_key_no_reading(desktop: Visit) -> None:
    desktop.page.route("**/predict*", lambda route: refuse(route, 401, "unauthorized"))
    desktop.draw(7)
    desktop["key-cancel"].click()
    expect(desktop["problem"]).to_contain_text("The service asks for an API key.")


def test_the_page_works_under_a_path(browser: Browser) -> None:
    """As a proxy serves it that passes the path on."""
    with serving(DIGITS_ROOT_PATH="/tools/digits") as server, browser.new_context() as context:
        visit = Visit.begin(context, server.url, "/tools/digits/")
        visit.draw(7)
        expect(visit["digit"]).to_have_text("7")
        visit.page.get_by_role("link", name="API").click()
        expect(visit["routes"]).to_have_attribute("aria-busy", "false")
        expect(visit["post-predict"]).to_contain_text(f"{server.url}/tools/digits/predict")
        assert visit.console == []
