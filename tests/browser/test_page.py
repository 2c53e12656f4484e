"""The page in a real browser: every way to give a digit, on a desktop and on a phone."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests import pictures
from tests.browser import visits
from tests.browser.visits import Visit
from tests.processes import Server
from tests.service.test_fields import row


def test_drawn_digits_are_read(visit: Visit, device: str) -> None:
    """At least nine of ten, by mouse on the desktop and by finger on the phone."""
    right = 0
    for digit in range(10):
        visit.draw(digit, touch=device == "phone")
        try:
            expect(visit["digit"]).to_have_text(str(digit), timeout=3000)
            right += 1
        except AssertionError:
            print(f"{digit} was read as {visit['digit'].text_content()}")
        visit["clear"].click()
        expect(visit["decision"]).to_have_text("Nothing read yet")
    assert right >= 9


def test_a_reading_shows_everything_that_is_known(desktop: Visit) -> None:
    desktop.draw(7)
    expect(desktop["digit"]).to_have_text("7")
    expect(desktop["decision"]).to_have_text("Accepted")
    expect(desktop["confidence"]).to_contain_text("% sure")
    values = desktop.page.locator("#bars .value").all_text_contents()
    assert len(values) == 10
    assert all(value.endswith("%") for value in values)
    assert desktop["seen"].evaluate("image => [image.naturalWidth, image.naturalHeight]") == [28, 28]
    expect(desktop["timing"]).to_contain_text("Infer")
    expect(desktop["timing"]).to_contain_text("Round trip")
    version = desktop.page.evaluate("fetch('model').then((response) => response.json()).then((model) => model.version)")
    expect(desktop["model"]).to_have_text(f"Read by digits {version}")


def test_undo_takes_back_a_stroke_and_a_clearing(desktop: Visit) -> None:
    expect(desktop["undo"]).to_be_disabled()
    desktop.draw(7)
    desktop.draw(1)
    desktop.page.keyboard.press("Control+z")
    expect(desktop["digit"]).to_have_text("7")
    desktop.page.keyboard.press("Escape")
    expect(desktop["decision"]).to_have_text("Nothing read yet")
    desktop["undo"].click()
    expect(desktop["digit"]).to_have_text("7")


def test_a_thicker_pen_leaves_more_ink(desktop: Visit) -> None:
    ink = """canvas => {
        const context = new OffscreenCanvas(640, 640).getContext("2d", { willReadFrequently: true });
        context.drawImage(canvas, 0, 0);
        return context.getImageData(0, 0, 640, 640).data.filter((value, index) => index % 4 == 3 && value).length;
    }"""
    desktop.draw(1)
    thin = desktop["drawing"].evaluate(ink)
    desktop["clear"].click()
    desktop["brush"].fill("12")
    desktop.draw(1)
    assert desktop["drawing"].evaluate(ink) > 1.5 * thin


def test_the_keyboard_draws_and_changes_tabs(desktop: Visit) -> None:
    press = desktop.page.keyboard.press
    desktop["drawing"].focus()
    for key in [*["ArrowUp"] * 15, " ", *["ArrowDown"] * 30, " "]:
        press(key)
    expect(desktop["digit"]).to_have_text("1")
    desktop["tab-draw"].focus()
    press("ArrowRight")
    expect(desktop["tab-picture"]).to_be_focused()
    expect(desktop["panel-picture"]).to_be_visible()
    press("End")
    expect(desktop["camera-switch"]).to_be_visible()


def test_a_dropped_photo_is_read(visit: Visit) -> None:
    photo = pictures.encode(pictures.draw(3, 500, ink=(40, 45, 90), paper=(215, 205, 190)), "JPEG")
    visit.drop("photo.jpg", photo)
    expect(visit["digit"]).to_have_text("3")
    expect(visit["preview"]).to_be_visible()


def test_a_pasted_picture_is_read(visit: Visit) -> None:
    """From the real clipboard, with the keys that a person presses."""
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.evaluate(
        """async (transfer) => {
            const blob = new Blob([transfer.files[0]], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }""",
        visit.transfer("5.png", pictures.png(5)),
    )
    visit.page.keyboard.press("Control+v")
    expect(visit["digit"]).to_have_text("5")


def test_a_photo_can_be_taken_where_there_is_a_touch_screen(visit: Visit, device: str) -> None:
    visit["tab-picture"].click()
    expect(visit["photograph-label"]).to_be_visible(visible=device == "phone")
    assert visit["photograph"].get_attribute("capture") == "environment"


def test_fifty_files_become_a_gallery(visit: Visit, fifty: list[Path], tmp_path: Path) -> None:
    visit.choose(*fifty)
    expect(visit["gallery-summary"]).to_have_text("50 read, 46 need no second look", timeout=15000)
    tiles = visit.page.locator("#tiles li:visible")
    expect(tiles).to_have_count(50)
    for name, count in {"Rejected": 2, "Failed": 2, "To look at": 0, "Accepted": 46}.items():
        visit["filter"].get_by_text(name).click()
        expect(tiles).to_have_count(count)
    tiles.nth(3).click()
    expect(visit["digit"]).to_have_text("3")
    with visit.page.expect_download() as download:
        visit["download"].click()
    download.value.save_as(tmp_path / "digits.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "digits.csv").read_text(encoding="utf-8"))))
    assert {row["file"] for row in rows} == {path.name for path in fifty} - {"=notes.txt"} | {"'=notes.txt"}
    read = {row["file"]: row["digit"] for row in rows}
    assert [read[f"cell-{index:02}.png"] for index in range(46)] == [str(index % 10) for index in range(46)]
    visit["gallery-clear"].click()
    expect(visit["gallery"]).to_be_hidden()


def test_an_archive_becomes_a_gallery_too(desktop: Visit) -> None:
    desktop.drop("scans.zip", pictures.archive({f"{digit}.png": pictures.png(digit) for digit in range(5)}))
    expect(desktop["gallery-summary"]).to_have_text("5 read, 5 need no second look")
    expect(desktop["model"]).to_contain_text("Read by digits")
    expect(desktop.page.locator(".tile-name")).to_have_text([f"{digit}.png" for digit in range(5)])


def test_the_camera_is_read_until_it_is_stopped(visit: Visit) -> None:
    visit["tab-camera"].click()
    visit["camera-switch"].click()
    expect(visit["reading"]).to_have_attribute("data-state", "read", timeout=15000)
    expect(visit["digit"]).to_have_text("7")
    visit["camera-switch"].click()
    expect(visit["video"]).to_have_js_property("srcObject", None)


def test_without_https_it_says_why_the_camera_is_off(browser: Browser, server: Server) -> None:
    port = server.url.rsplit(":", 1)[1]
    with browser.new_context() as context:
        visit = Visit.begin(context, f"http://{visits.ELSEWHERE}:{port}")
        visit["tab-camera"].click()
        expect(visit["camera-hint"]).to_contain_text("only over HTTPS")
        expect(visit["camera-switch"]).to_be_hidden()
        visit["tab-draw"].click()
        visit.draw(7)
        expect(visit["digit"]).to_have_text("7")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_dark_mode_is_dark(browser: Browser, server: Server, path: str) -> None:
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    for scheme in ("light", "dark"):
        with browser.new_context(color_scheme=scheme) as context:
            page = Visit.begin(context, server.url, path).page
            assert (sum(page.evaluate(brightness)) < 200) == (scheme == "dark")


def test_ink_stays_readable_when_the_colours_change(desktop: Visit) -> None:
    desktop.draw(7)
    desktop.page.emulate_media(color_scheme="dark")
    desktop.page.keyboard.press("Control+z")
    desktop.draw(7)
    expect(desktop["digit"]).to_have_text("7")


def test_it_is_light_and_usable_within_a_second(visit: Visit) -> None:
    page = visit.page
    sizes: list[int] = []
    page.on("response", lambda response: sizes.append(len(response.body())))
    page.reload()
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    print(f"{len(sizes)} files, {sum(sizes)} bytes, usable after {ready:.0f} ms")
    assert 10_000 < sum(sizes) <= 100_000
    assert ready < 1000


def test_the_description_of_the_api_is_rendered(desktop: Visit) -> None:
    desktop.page.goto(f"{desktop.url}/docs")
    routes = desktop.page.locator(".route h2")
    expect(routes.first).to_have_text("post/predict")
    described = desktop.page.evaluate("fetch('openapi.json').then((r) => r.json()).then((d) => Object.keys(d.paths))")
    expect(routes).to_have_count(len(described))
    expect(desktop.page.locator("#post-predict")).to_contain_text(f"curl -F file=@seven.png {desktop.url}/predict")
    expect(desktop.page.locator("#post-predict")).to_contain_text("too_large")


def test_a_number_is_read_where_numbers_are_asked_for(visit: Visit) -> None:
    number = pictures.encode(row([4, 0, 7]))
    visit["tab-picture"].click()
    visit["number"].check()
    visit.drop("number.png", number)
    expect(visit["digit"]).to_have_text("407")
    expect(visit["bars-title"]).to_contain_text("Least sure: digit")
    expect(visit["seen-title"]).to_be_hidden()
    visit["number"].uncheck()
    expect(visit["seen-title"]).to_be_visible()
    expect(visit["bars-title"]).to_have_text("Probability of each digit")


def test_many_numbers_become_a_gallery(desktop: Visit, tmp_path: Path) -> None:
    paths = []
    for index, digits in enumerate(([4, 0, 7], [3, 5, 7], [9])):
        paths.append(tmp_path / f"{index}.png")
        paths[-1].write_bytes(pictures.encode(row(digits)))
    desktop["tab-picture"].click()
    desktop["number"].check()
    desktop.choose(*paths)
    expect(desktop["gallery-summary"]).to_contain_text("3 read")
    expect(desktop.page.locator(".tile-digit")).to_have_text(["407", "357", "9"])
    desktop.page.locator("#tiles button").first.click()
    expect(desktop["digit"]).to_have_text("407")
