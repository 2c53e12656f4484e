"""Rules, dashboard and compose file: checked by promtool, and asked of a real Prometheus that scrapes a loaded service."""

import json
import math
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests import pictures
from tests.processes import serving
from tests.programs import need

ROOT = Path(__file__).parent.parent
MONITORING = ROOT / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/digits.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((MONITORING / "prometheus/rules.yml").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
RUN_BOOK = (ROOT / "docs/operations.md").read_text(encoding="utf-8")

RECORDED = {rule["record"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {
    f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
    for panel in PANELS
    for target in panel["targets"]
}


# --- by themselves -----------------------------------------------------------------------------------------------


def test_promtool_accepts_configuration_and_rules_and_their_unit_tests_pass() -> None:
    promtool, folder = need("promtool"), MONITORING / "prometheus"
    for command in (
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"],
        ["test", "rules", "rules_test.yml"],
    ):
        done = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_in_a_unit_test() -> None:
    tests = yaml.safe_load((MONITORING / "prometheus/rules_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {case["alertname"] for test in tests for case in test.get("alert_rule_test", []) if case["exp_alerts"]}
    assert fired == set(ALERTS)


def test_every_alert_leads_to_its_part_of_the_run_book() -> None:
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
        assert re.search(rf"^### {name}$", RUN_BOOK, re.M), name


def test_every_metric_is_in_the_run_book() -> None:
    from tests.service.test_operations import CONTRACT

    for name in CONTRACT:
        assert f"`{name}" in RUN_BOOK, name


def test_panels_have_room_of_their_own_and_a_source_that_is_provisioned() -> None:
    [source] = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert {panel["datasource"]["uid"] for panel in PANELS} == {source["uid"]}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_compose_mounts_what_exists_and_scrapes_the_service_it_starts() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    [scrape] = yaml.safe_load((MONITORING / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    [target] = scrape["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert COMPOSE["services"][name]["ports"] == [f"127.0.0.1:{port}:{port}"]


# --- with Prometheus and the service -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Prometheus with our rules that has scraped a service under load for some seconds."""
    program = need("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    with serving(DIGITS_MAX_IN_FLIGHT="64") as service:
        listen = f"127.0.0.1:{free_port()}"
        command = [program, f"--config.file={configure(folder, service.url)}", f"--storage.tsdb.path={folder}/data"]
        with subprocess.Popen([*command, f"--web.listen-address={listen}"], stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(lambda: httpx2.get(f"http://{listen}/-/ready").status_code == 200)
                load(service.url, seconds=12)
                yield f"http://{listen}"
            finally:
                process.terminate()


def configure(folder: Path, url: str) -> Path:
    """Our configuration, pointed at a service here and hurried up."""
    config = yaml.safe_load((MONITORING / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(MONITORING / "prometheus" / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [url.removeprefix("http://")]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(check: Any) -> None:
    for _ in range(300):
        try:
            if check():
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("not within 30 s")


def load(url: str, seconds: float) -> None:
    """Everything a caller may send: digits, blanks, batches, tensors, rubbish."""
    end = time.monotonic() + seconds
    tensor = {"name": "image", "shape": [1, 28, 28], "datatype": "UINT8", "data": [0] * 784}
    with httpx2.Client(base_url=url) as client:
        while time.monotonic() < end:
            for digit in range(10):
                client.post("/predict", content=pictures.png(digit))
                client.post("/predict?accept_at=1", content=pictures.png(digit))  # hardly one is that sure
            client.post("/predict", content=pictures.blank())
            client.post("/predict", content=b"no picture")
            client.post("/predict/batch", files=[("files", pictures.png(digit)) for digit in range(3)])
            client.post("/v2/models/digits/infer", json={"inputs": [tensor]})
            time.sleep(0.05)


def query(prometheus: str, expression: str) -> list[dict[str, Any]]:
    answer = httpx2.get(f"{prometheus}/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", (expression, answer)
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def numbers(result: list[dict[str, Any]]) -> list[float]:
    return [float(sample["value"][1]) for sample in result]


@pytest.mark.parametrize("query_", QUERIES)
def test_every_query_of_the_dashboard_returns_numbers(prometheus: str, query_: str) -> None:
    values = numbers(query(prometheus, QUERIES[query_]))
    assert values
    assert not all(map(math.isnan, values))


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_rule_returns_numbers(prometheus: str, name: str) -> None:
    assert query(prometheus, RECORDED[name])
    assert query(prometheus, name), "not recorded"


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_the_numbers_it_compares(prometheus: str, name: str) -> None:
    """With `bool`, a comparison answers 0 or 1 instead of nothing."""
    expression = ALERTS[name]["expr"]
    if name == "DigitsAbsent":
        assert not query(prometheus, expression)
        return
    compared = re.sub(r" (==|>) (?=[\d.]+(e\d+)?($|\s))", r" \1 bool ", expression)
    assert compared != expression
    assert query(prometheus, compared), compared


def test_a_healthy_service_fires_no_alert_of_failures(prometheus: str) -> None:
    rules = httpx2.get(f"{prometheus}/api/v1/rules?type=alert").json()["data"]["groups"]
    states = {rule["name"]: (rule["state"], rule["health"]) for group in rules for rule in group["rules"]}
    assert set(states) == set(ALERTS)
    assert {health for _, health in states.values()} == {"ok"}
    for name in ("DigitsDown", "DigitsAbsent", "DigitsErrorsFast", "DigitsErrorsSlow", "DigitsOverloaded"):
        assert states[name][0] == "inactive", name
