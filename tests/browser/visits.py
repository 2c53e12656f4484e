"""What a person does on the page, and what the browser notices meanwhile."""

import base64
import math
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, JSHandle, Locator, Page, Playwright, Request

from tests import pictures
from tests.pictures import Point

DEVICES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 860}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
}
# A name that is not the machine's own: pages from it are not trusted with a camera unless they come over HTTPS.
ELSEWHERE = "digits.test"

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
_WATCH = "violations = []; addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective))"


def launch(playwright: Playwright, program: str, film: Path) -> AbstractContextManager[Browser]:
    """Debian's Chromium with a camera that shows a film."""
    return playwright.chromium.launch(
        executable_path=program, args=[*_ARGUMENTS, f"--use-file-for-fake-video-capture={film}"]
    )


@dataclass
class Visit:
    """An open page, with the console's errors and the requests that left for another host."""

    page: Page
    url: str
    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    weight: int = 0

    @classmethod
    def begin(cls, context: BrowserContext, url: str, path: str = "/") -> "Visit":
        visit = cls(context.new_page(), url)
        visit.page.add_init_script(_WATCH)
        visit.page.on("console", visit._heard)
        visit.page.on("pageerror", lambda error: visit.console.append(str(error)))
        visit.page.on("request", visit._requested)
        visit.page.goto(url + path)
        return visit

    def _heard(self, message: ConsoleMessage) -> None:
        # Chromium notes every answer of 400 and more; that the page explains them is tested where they are provoked.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.console.append(message.text)

    def _requested(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != urlsplit(self.url).netloc:
            self.foreign.append(request.url)

    def violations(self) -> list[str]:
        return list(self.page.evaluate("violations"))

    def __getitem__(self, element: str) -> Locator:
        return self.page.locator(f"#{element}")

    def draw(self, digit: int, *, touch: bool = False) -> None:
        box = self["drawing"].bounding_box()
        assert box is not None
        for stroke in pictures.STROKES[digit]:
            # With as much room around the digit as a person leaves.
            points = [
                (box["x"] + box["width"] * (0.2 + 0.6 * x), box["y"] + box["height"] * (0.2 + 0.6 * y))
                for x, y in stroke
            ]
            self._touch(points) if touch else self._drag(points)

    def _drag(self, points: list[Point]) -> None:
        mouse = self.page.mouse
        mouse.move(*points[0])
        mouse.down()
        for start, end in pairwise(points):
            mouse.move(*end, steps=1 + int(math.dist(start, end) / 40))
        mouse.up()

    def _touch(self, points: list[Point]) -> None:
        devtools = self.page.context.new_cdp_session(self.page)
        kinds = ["touchStart", *["touchMove"] * (len(points) - 1)]
        for kind, (x, y) in zip(kinds, points, strict=True):
            devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        devtools.detach()

    def transfer(self, name: str, data: bytes) -> JSHandle:
        """What a drag or the clipboard carries."""
        return self.page.evaluate_handle(
            """([name, data]) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt())], name));
                return transfer;
            }""",
            [name, base64.b64encode(data).decode()],
        )

    def drop(self, name: str, data: bytes) -> None:
        self.page.dispatch_event("main", "drop", {"dataTransfer": self.transfer(name, data)})

    def choose(self, *files: Path) -> None:
        self["choose"].set_input_files(list(files))
