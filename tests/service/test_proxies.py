"""Behind a proxy, and asked by web pages of other origins."""

import httpx2
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.server import KEEP_ALIVE_SECONDS
from service.settings import Settings
from tests import pictures
from tests.processes import Server, get_ready, serving
from tests.service.test_protocol import full

SEVEN = pictures.png(7)
PAGE = {"Origin": "https://forms.example.org"}
ALLOWED = "access-control-allow-origin"


def redirected_to(server: Server) -> str:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    return str(httpx2.get(f"{server.url}/predict/", headers=forwarded, follow_redirects=False).headers["location"])


@pytest.mark.parametrize(("trusted", "scheme"), [("127.0.0.1", "https"), ("10.0.0.0/8", "http")])
def test_forwarded_headers_count_from_trusted_addresses_only(trusted: str, scheme: str) -> None:
    with serving(DIGITS_FORWARDED_ALLOW_IPS=trusted) as server:
        get_ready(server.url)
        assert redirected_to(server).startswith(f"{scheme}://")


def test_idle_connections_outlive_those_of_common_balancers() -> None:
    assert KEEP_ALIVE_SECONDS > 60


def test_pages_of_other_origins_may_not_ask_unless_they_are_named() -> None:
    with TestClient(create_app(Settings.from_env({}))) as client:
        answer = client.post("/predict", content=SEVEN, headers=PAGE)
        assert answer.status_code == 200
        assert ALLOWED not in answer.headers
        asked = client.options("/predict", headers=PAGE | {"Access-Control-Request-Method": "POST"})
        assert ALLOWED not in asked.headers


def test_a_named_origin_may_ask_with_a_key_and_sees_answers_and_errors() -> None:
    settings = Settings.from_env({"DIGITS_CORS_ORIGINS": PAGE["Origin"], "DIGITS_API_KEYS": "secret"})
    with TestClient(create_app(settings)) as client:
        wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key, content-type"}
        asked = client.options("/predict", headers=PAGE | wanted)
        assert asked.status_code == 200
        assert asked.headers[ALLOWED] == PAGE["Origin"]
        assert "access-control-allow-credentials" not in asked.headers
        other = client.options("/predict", headers={"Origin": "https://other.example"} | wanted)
        assert ALLOWED not in other.headers
        for key, status in (("secret", 200), ("wrong", 401)):
            answer = client.post("/predict", content=SEVEN, headers=PAGE | {"X-API-Key": key})
            assert answer.status_code == status
            assert answer.headers[ALLOWED] == PAGE["Origin"]
            assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


def test_a_named_origin_sees_readings_and_refusals_of_a_running_service() -> None:
    with serving(DIGITS_MAX_IN_FLIGHT="1", DIGITS_CORS_ORIGINS=PAGE["Origin"]) as server, httpx2.Client() as client:
        get_ready(server.url)
        answer = client.post(f"{server.url}/predict", content=SEVEN, headers=PAGE)
        assert answer.json()["digit"] == 7
        assert answer.headers[ALLOWED] == PAGE["Origin"]
        with full(server):
            refused = client.post(f"{server.url}/predict", content=SEVEN, headers=PAGE)
            assert refused.status_code == 429
            assert refused.headers[ALLOWED] == PAGE["Origin"]
            assert ALLOWED not in client.post(f"{server.url}/predict", content=SEVEN).headers
