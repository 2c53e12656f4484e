"""Health, metrics and the model's record, as an operator meets them."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from service import __version__
from service.app import create_app
from service.schemas import Health, ModelDescription
from service.settings import Settings
from tests import pictures
from tests.service.test_predict import problem

# Section 2 of the contract, "Metrics": name -> labels.
CONTRACT = {
    "http_requests": {"method", "route", "status"},
    "http_request_duration_seconds": {"method", "route"},
    "http_requests_in_flight": set(),
    "digit_predictions": {"digit", "decision"},
    "digit_reasons": {"reason"},
    "digit_confidence": set(),
    "digit_stage_duration_seconds": {"stage"},
    "digit_batch_items": set(),
    "digit_inference_batch_size": set(),
    "digit_requests_rejected": {"code"},
    "digit_model_info": {"name", "version", "sha256"},
}


def samples(client: TestClient) -> dict[tuple[str, frozenset], float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def labelled(name: str, **labels: str) -> tuple[str, frozenset]:
    return name, frozenset(labels.items())


def test_alive_and_ready() -> None:
    with TestClient(create_app(Settings.from_env())) as client:
        assert client.get("/health/live").json() == {"live": True}
        assert client.get("/health/ready").json() == {"ready": True}
        health = client.get("/health").json()
        Health.model_validate(health)
        assert health["ready"] is True
        assert health["version"] == __version__
        client.app_state["service"].ready = False
        response = client.get("/health/ready")
        assert problem(response)["code"] == "unavailable"
        assert int(response.headers["Retry-After"]) >= 1
        assert client.get("/health/live").status_code == 200
        assert client.get("/health").json()["ready"] is False


def test_the_record_of_the_model(client: TestClient) -> None:
    record = client.get("/model").json()
    ModelDescription.model_validate(record)
    assert record["sha256"] == client.post("/predict", content=pictures.png(7)).json()["model"]["sha256"]
    assert record["input"] == {
        "name": "image",
        "type": "uint8",
        "shape": ["N", 28, 28],
        "description": "white ink on black, MNIST geometry",
    }


def test_the_metrics_are_those_of_the_contract_with_bounded_labels() -> None:
    with TestClient(create_app(Settings.from_env())) as client:
        client.post("/predict", content=pictures.png(7))
        client.post("/predict", content=pictures.blank())
        client.post("/predict/batch", files=[("files", pictures.png(1)), ("files", pictures.png(2))])
        client.post("/predict", content=b"text")
        families = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
        ours = {name: family for name, family in families.items() if name.startswith(("http", "digit"))}
        assert set(ours) == set(CONTRACT)
        for name, family in ours.items():
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == CONTRACT[name], name
            assert family.documentation


def test_requests_and_predictions_are_counted() -> None:
    with TestClient(create_app(Settings.from_env())) as client:
        for _ in range(3):
            client.post("/predict", content=pictures.png(7))
        client.post("/predict", content=pictures.blank())
        client.post("/predict", content=b"text")
        for path in ("/a", "/b", "/.env"):
            client.get(path)
        client.request("BREW", "/predict")
        seen = samples(client)
    assert seen[labelled("http_requests_total", method="POST", route="/predict", status="200")] == 4
    assert seen[labelled("http_requests_total", method="POST", route="/predict", status="422")] == 1
    assert seen[labelled("http_requests_total", method="GET", route="unmatched", status="404")] == 3
    assert seen[labelled("http_requests_total", method="other", route="/predict", status="405")] == 1
    assert seen[labelled("http_request_duration_seconds_count", method="POST", route="/predict")] == 5
    assert seen[labelled("digit_requests_rejected_total", code="invalid_image")] == 1
    assert seen[labelled("digit_predictions_total", digit="none", decision="reject")] == 1
    assert seen[labelled("digit_reasons_total", reason="blank")] == 1
    assert seen[labelled("digit_confidence_count")] == 3
    assert seen[labelled("digit_stage_duration_seconds_count", stage="infer")] == 4
    assert seen[labelled("digit_inference_batch_size_sum")] == 3
    assert seen[labelled("http_requests_in_flight")] == 1  # the scrape itself


def test_openmetrics_is_given_when_asked_for(client: TestClient) -> None:
    response = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


def test_stage_buckets_begin_where_the_stages_do(client: TestClient) -> None:
    client.post("/predict", content=pictures.png(7))
    bounds = re.findall(
        r'digit_stage_duration_seconds_bucket\{le="([^"]+)",stage="infer"\}', client.get("/metrics").text
    )
    assert float(bounds[0]) == 50e-6


def test_openapi_names_every_input_form_and_every_error(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    predict = document["paths"]["/predict"]["post"]
    assert {"image/png", "application/octet-stream", "multipart/form-data", "application/json"} <= set(
        predict["requestBody"]["content"]
    )
    batch = document["paths"]["/predict/batch"]["post"]
    assert set(batch["requestBody"]["content"]) == {
        "multipart/form-data",
        "application/json",
        "application/zip",
        "image/tiff",
    }
    for operation in (predict, batch):
        assert {"200", "400", "413", "415", "422", "500"} <= set(operation["responses"])
        assert {parameter["name"] for parameter in operation["parameters"]} == {"target_error", "accept_at", "include"}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', client.get("/openapi.json").text))
    assert references <= set(document["components"]["schemas"])
    assert client.get("/docs").status_code == 200


def test_a_missing_model_stops_the_start(tmp_path: Path) -> None:
    import pytest

    from service.errors import ModelError

    app = create_app(Settings.from_env(model_path=tmp_path / "none.onnx"))
    with pytest.raises(ModelError, match=r"none\.onnx"), TestClient(app):
        pass
