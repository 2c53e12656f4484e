"""`POST /predict`, as a caller meets it."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.app import create_app
from service.schemas import Prediction
from service.settings import Settings
from tests import pictures

SEVEN = pictures.png(7)
BASE64 = base64.b64encode(SEVEN).decode()


def test_raw_bytes_are_read(client: TestClient) -> None:
    response = client.post("/predict", content=SEVEN, headers={"Content-Type": "image/png"})
    assert response.status_code == 200
    answer = response.json()
    assert answer["digit"] == 7
    assert answer["confidence"] == max(answer["probabilities"])
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert "image" not in answer
    Prediction.model_validate(answer, strict=False)


@pytest.mark.parametrize(
    "request_",
    [
        {"content": SEVEN, "headers": {"Content-Type": "image/png"}},
        {"content": SEVEN, "headers": {"Content-Type": "image/jpeg"}},
        {"content": SEVEN, "headers": {"Content-Type": "application/octet-stream"}},
        {"content": SEVEN, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"content": SEVEN},
        {"files": {"file": ("seven.png", SEVEN, "image/png")}},
        {"files": {"file": SEVEN}, "data": {"note": "other fields are ignored"}},
        {"json": {"image": BASE64}},
        {"json": {"image": f"data:image/png;base64,{BASE64}"}},
        {"json": {"image": f"DATA:image/png;Base64,{BASE64}"}},
        {"json": {"image": "\r\n".join(BASE64[i : i + 76] for i in range(0, len(BASE64), 76))}},
    ],
)
def test_every_way_to_send_a_picture_gives_the_same_answer(client: TestClient, request_: dict) -> None:
    reference = client.post("/predict", content=SEVEN, headers={"Content-Type": "image/png"}).json()
    response = client.post("/predict", **request_)
    assert response.status_code == 200
    assert response.json() == reference


def test_a_picture_as_large_as_allowed_may_come_as_base64_in_short_lines() -> None:
    with TestClient(create_app(Settings.from_env({"DIGITS_MAX_IMAGE_BYTES": "300000"}))) as client:
        text = base64.b64encode(SEVEN + bytes(300_000 - len(SEVEN))).decode()
        lines = "\r\n".join(text[at : at + 64] for at in range(0, len(text), 64))
        assert client.post("/predict", json={"image": lines}).json()["digit"] == 7
        assert client.post("/predict", json={"image": lines + base64.b64encode(b"abc").decode()}).status_code == 413


def test_a_body_in_pieces_is_read_whole(client: TestClient) -> None:
    pieces = (SEVEN[start : start + 100] for start in range(0, len(SEVEN), 100))
    assert client.post("/predict", content=pieces, headers={"Content-Type": "image/png"}).json()["digit"] == 7


def test_a_form_in_pieces_is_read_whole(client: TestClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="7.png"\r\n\r\n' + SEVEN + b"\r\n--x--\r\n"
    pieces = (body[start : start + 7] for start in range(0, len(body), 7))
    response = client.post("/predict", content=pieces, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert response.json()["digit"] == 7


def test_a_blank_picture_has_no_digit(client: TestClient) -> None:
    answer = client.post("/predict", content=pictures.blank()).json()
    assert answer["digit"] is None
    assert answer["confidence"] == 0
    assert answer["probabilities"] is None
    assert answer["decision"] == "reject"
    assert answer["reasons"] == ["blank"]
    Prediction.model_validate(answer)


def test_the_picture_the_network_saw_is_returned_on_request(client: TestClient) -> None:
    answer = client.post("/predict?include=image", content=SEVEN).json()
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["image"]))))
    assert seen.shape == (28, 28)
    assert seen.max() > 200
    assert seen[0].max() == 0
    assert client.post("/predict?include=image", content=pictures.blank()).json()["image"] is None


def test_the_threshold_can_be_set_for_a_request(client: TestClient) -> None:
    assert client.post("/predict?accept_at=0", content=SEVEN).json()["decision"] == "accept"
    sure = client.post("/predict?accept_at=1", content=pictures.png(4)).json()
    assert sure["decision"] == ("accept" if sure["confidence"] == 1 else "review")


def test_a_promised_error_rate_picks_its_threshold(client: TestClient) -> None:
    record = client.get("/model").json()["thresholds"]
    for target in ("0.01", "0.005", "0.001"):
        answer = client.post(f"/predict?target_error={target}", content=SEVEN).json()
        accepted = record[target] is not None and answer["confidence"] >= record[target]["accept_at"]
        assert answer["decision"] == ("accept" if accepted else "review")


def test_a_sane_request_id_is_kept_and_another_replaced(client: TestClient) -> None:
    kept = client.post("/predict", content=SEVEN, headers={"X-Request-ID": "form-17/cell-3"})
    assert kept.headers["X-Request-ID"] == "form-17/cell-3"
    for strange in ("two words", "x" * 200, ""):
        response = client.post("/predict", content=SEVEN, headers={"X-Request-ID": strange})
        assert response.headers["X-Request-ID"] not in ("", strange)


def test_the_answer_says_how_long_each_stage_took(client: TestClient) -> None:
    timing = client.post("/predict", content=SEVEN).headers["Server-Timing"]
    stages = dict(entry.split(";dur=") for entry in timing.split(", "))
    assert list(stages) == ["read", "decode", "normalize", "queue", "infer"]
    assert all(float(milliseconds) >= 0 for milliseconds in stages.values())


def problem(response) -> dict:
    """The body of an error, checked for what all of them promise."""
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "code", "request_id"}
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["X-Request-ID"]
    for leak in ("Traceback", "0x", "site-packages", ".py", "object at", "BytesIO"):
        assert leak not in response.text
    return body


@pytest.mark.parametrize(
    ("request_", "status", "code", "said"),
    [
        ({"content": b""}, 400, "invalid_request", "empty"),
        ({"content": b"", "headers": {"Content-Type": "application/json"}}, 400, "invalid_request", "empty"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "invalid_request", "not valid JSON"),
        ({"json": [BASE64]}, 400, "invalid_request", "must be an object"),
        ({"json": {"picture": BASE64}}, 400, "invalid_request", "no member 'image'; its members are: 'picture'"),
        ({"json": {"image": 7}}, 400, "invalid_request", "must be a string"),
        ({"json": {"image": ""}}, 400, "invalid_request", "empty"),
        ({"json": {"image": "no base64!"}}, 400, "invalid_request", "not valid base64"),
        ({"json": {"image": "data:image/png," + BASE64}}, 400, "invalid_request", "data: URL"),
        ({"json": {"image": base64.b64encode(b"text").decode()}}, 422, "invalid_image", "not a readable picture"),
        ({"files": {"picture": SEVEN}}, 400, "invalid_request", "no field 'file'; its fields are: 'picture'"),
        ({"files": [("file", SEVEN), ("file", SEVEN)]}, 400, "invalid_request", "/predict/batch"),
        (
            {"content": SEVEN, "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "invalid_request",
            "names no boundary",
        ),
        (
            {"content": SEVEN, "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            400,
            "invalid_request",
            "malformed",
        ),
        (
            {
                "content": b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf',
                "headers": {"Content-Type": "multipart/form-data; boundary=x"},
            },
            400,
            "invalid_request",
            "ends too early",
        ),
        ({"files": {"file": b""}}, 400, "invalid_request", "'file' is empty"),
        ({"content": SEVEN, "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type", "'text/plain'"),
        (
            {"content": b"a=1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            415,
            "unsupported_media_type",
            "'application/x-www-form-urlencoded'",
        ),
        ({"content": b"just text"}, 422, "invalid_image", "PNG, JPEG, BMP, GIF, TIFF, WebP"),
        ({"content": SEVEN[: len(SEVEN) // 2]}, 422, "invalid_image", "truncated"),
        ({"content": SEVEN[:20]}, 422, "invalid_image", ""),
        ({"content": pictures.png_header(50_000, 50_000)}, 413, "too_large", "50000 x 50000"),
        ({"content": SEVEN, "params": {"include": "pixels"}}, 400, "invalid_request", "include"),
        ({"content": SEVEN, "params": {"target_error": "0.02"}}, 400, "invalid_request", "0.01, 0.005, 0.001"),
        ({"content": SEVEN, "params": {"accept_at": "high"}}, 400, "invalid_request", "accept_at"),
        ({"content": SEVEN, "params": {"accept_at": "1.5"}}, 400, "invalid_request", "less than or equal to 1"),
        ({"content": SEVEN, "params": {"acept_at": "0.9"}}, 400, "invalid_request", "'acept_at'; allowed are"),
    ],
)
def test_bad_input_is_told_what_is_wrong(client: TestClient, request_: dict, status: int, code: str, said: str) -> None:
    response = client.post("/predict", **request_)
    body = problem(response)
    assert (body["status"], body["code"]) == (status, code)
    assert said in body["detail"]


def test_an_unknown_route_and_a_wrong_method_are_problems_too(client: TestClient) -> None:
    assert problem(client.get("/nowhere"))["code"] == "not_found"
    response = client.get("/predict")
    assert problem(response)["code"] == "method_not_allowed"
    assert response.headers["Allow"] == "POST"


def test_our_own_fault_is_a_500_that_tells_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(image: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("service.ink.find_ink", broken)
    response = client.post("/predict", content=SEVEN)
    assert response.status_code == 500
    assert problem(response)["code"] == "internal_error"
    assert "secret" not in response.text
    logged = [record for record in caplog.records if record.exc_info]
    assert logged[0].request_id == response.headers["X-Request-ID"]


def test_the_description_of_the_service_is_counted_under_its_own_route(client: TestClient) -> None:
    assert client.get("/openapi.json").status_code == 200
    assert 'http_requests_total{method="GET",route="/openapi.json",status="200"}' in client.get("/metrics").text
