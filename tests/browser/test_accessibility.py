"""axe-core, the rules of accessibility, finds nothing on any state of the pages, light or dark."""

import base64
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests import pictures
from tests.browser import visits
from tests.browser.visits import Visit
from tests.processes import Server
from tests.programs import need
from tests.service.test_fields import row

# Mozilla Public License 2.0: fetched for the test, part of nothing that we give away.
AXE = "axe-core@4.14.1"
AXE_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="


@pytest.fixture(scope="package")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run([need("npm"), "pack", "--silent", AXE], cwd=folder, capture_output=True, check=False)
    if done.returncode:
        assert not os.environ.get("CI"), done.stderr.decode()
        pytest.skip("axe-core cannot be fetched from the npm registry")
    data = next(folder.glob("*.tgz")).read_bytes()
    assert base64.b64encode(hashlib.sha512(data).digest()).decode() == AXE_SHA512
    with tarfile.open(fileobj=io.BytesIO(data)) as package:
        source = package.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


def nothing(_: Visit, __: list[Path]) -> None:
    pass


def reading(visit: Visit, _: list[Path]) -> None:
    visit.draw(7)
    expect(visit["digit"]).to_have_text("7")


def gallery(visit: Visit, fifty: list[Path]) -> None:
    visit.choose(*fifty)
    expect(visit["gallery-summary"]).to_contain_text("50 read", timeout=15000)
    visit.page.locator("#tiles button").first.click()


def number(visit: Visit, _: list[Path]) -> None:
    visit["tab-picture"].click()
    visit["number"].check()
    visit.drop("number.png", pictures.encode(row([4, 0, 7])))
    expect(visit["digit"]).to_have_text("407")


def camera(visit: Visit, _: list[Path]) -> None:
    visit["tab-camera"].click()


def asking(visit: Visit, _: list[Path]) -> None:
    visit.page.route("**/predict*", lambda route: route.fulfill(status=401, body="{}"))
    visit.draw(7)
    expect(visit["key"]).to_be_visible()


def docs(visit: Visit, _: list[Path]) -> None:
    visit.page.goto(f"{visit.url}/docs")
    expect(visit["routes"]).to_have_attribute("aria-busy", "false")


@pytest.mark.parametrize(
    "state", [nothing, reading, number, gallery, camera, asking, docs], ids=lambda state: state.__name__
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: Browser,
    server: Server,
    fifty: list[Path],
    axe: str,
    device: str,
    scheme: Any,
    state: Callable[[Visit, list[Path]], None],
) -> None:
    with browser.new_context(**visits.DEVICES[device], color_scheme=scheme, reduced_motion="reduce") as context:
        visit = Visit.begin(context, server.url)
        state(visit, fifty)
        visit.page.evaluate(axe)
        found = visit.page.evaluate("axe.run()")["violations"]
    shown = [{"id": each["id"], "nodes": [node["html"] for node in each["nodes"][:3]]} for each in found]
    assert not found, json.dumps(shown, indent=1)
