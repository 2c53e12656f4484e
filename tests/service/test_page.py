"""The pages as they are sent: headers, caching, compression, and nothing from elsewhere."""

import re
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

PAGES = ["/", "/docs"]


class Addresses(HTMLParser):
    """Collects what a page loads or leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def assets(client: TestClient, page: str) -> list[str]:
    """Everything a page loads: what it names, and the modules that those import."""
    pending = [f"/{address}" for address in Addresses(client.get(page).text).found if address.startswith("static/")]
    found: list[str] = []
    while pending:
        address = pending.pop()
        if address not in found:
            found.append(address)
            imported = re.findall(r'from "\./([\w.]+)"', client.get(address).text)
            pending += [f"{address.rsplit('/', 1)[0]}/{name}" for name in imported]
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_only_what_this_service_has(client: TestClient, page: str) -> None:
    for address in Addresses(client.get(page).text).found:
        assert "//" not in address
        assert client.get(f"/{address.removeprefix('./')}").status_code == 200, address
    assert any(address.endswith("words.js") for address in assets(client, page))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_weighs_little(client: TestClient, page: str) -> None:
    weight = sum(len(client.get(address).content) for address in [page, *assets(client, page)])
    assert weight <= 100_000


@pytest.mark.parametrize("page", PAGES)
def test_a_page_may_do_nothing_but_what_it_needs(client: TestClient, page: str) -> None:
    headers = client.get(page).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "//" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=(self)" in headers["permissions-policy"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_style_or_script_of_its_own(client: TestClient, page: str) -> None:
    """The policy would forbid them."""
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", client.get(page).text)


def test_a_page_is_asked_for_again_and_its_files_are_kept(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    known = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    for address in assets(client, "/"):
        assert "immutable" in client.get(address).headers["cache-control"]


def test_files_of_another_version_are_not_kept(client: TestClient) -> None:
    response = client.get("/static/000000000000/app.js")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-cache"


def test_files_are_compressed_for_who_takes_that(client: TestClient) -> None:
    packed = client.get("/", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < len(plain.content) / 2


@pytest.mark.parametrize("name", ["none.js", "index.html", "../page.py", "%2e%2e%2fpage.py"])
def test_nothing_else_is_to_be_had(client: TestClient, name: str) -> None:
    response = client.get(f"/static/0/{name}")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_pages_are_no_part_of_the_api(client: TestClient) -> None:
    assert not {"/", "/docs"} & set(client.get("/openapi.json").json()["paths"])


def test_monitors_may_ask_for_the_head_alone(client: TestClient) -> None:
    response = client.head("/")
    assert response.status_code == 200
    assert response.content == b""
