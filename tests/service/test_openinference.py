"""The Open Inference Protocol, spoken by hand as its specification and its clients do."""

import base64
import json
import struct
from typing import Any

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.reader import Reader
from service.schemas import InferenceModel, InferenceResponse
from service.settings import Settings
from tests import pictures

INFER = "/v2/models/digits/infer"
HEADER = "Inference-Header-Content-Length"
UPLOADS = [pictures.png(digit) for digit in range(10)]


def seen_by_the_network(client: TestClient, upload: bytes) -> np.ndarray:
    """The 28x28 that `/predict` normalised the upload to."""
    from io import BytesIO

    from PIL import Image

    answer = client.post("/predict?include=image", content=upload).json()
    return np.asarray(Image.open(BytesIO(base64.b64decode(answer["image"]))))


@pytest.fixture(scope="module")
def digits(client: TestClient) -> np.ndarray:
    return np.stack([seen_by_the_network(client, upload) for upload in UPLOADS])


@pytest.fixture(scope="module")
def expected(client: TestClient) -> list[dict[str, Any]]:
    return [client.post("/predict", content=upload).json() for upload in UPLOADS]


def tensor(data: object, shape: list[int], datatype: str = "UINT8", **members: object) -> dict[str, Any]:
    return {"name": "image", "shape": shape, "datatype": datatype, "data": data} | members


def ask(client: TestClient, *inputs: dict[str, Any], **members: object) -> httpx2.Response:
    return client.post(INFER, json={"inputs": list(inputs)} | members)


def outputs(response: httpx2.Response) -> dict[str, np.ndarray]:
    """Output tensors of an answer, from its JSON or from the binary data after it."""
    assert response.status_code == 200, response.text
    length = int(response.headers.get(HEADER, len(response.content)))
    message, binary = json.loads(response.content[:length]), response.content[length:]
    InferenceResponse.model_validate(message)
    found = {}
    for output in message["outputs"]:
        if "data" in output:
            values = np.array(output["data"])
        else:
            size = output["parameters"]["binary_data_size"]
            values, binary = from_binary(binary[:size], output["datatype"]), binary[size:]
        found[output["name"]] = values.reshape(output["shape"])
    assert not binary
    return found


def from_binary(data: bytes, datatype: str) -> np.ndarray:
    if datatype != "BYTES":
        return np.frombuffer(data, {"FP32": "<f4", "INT64": "<i8"}[datatype])
    elements = []
    while data:
        (length,) = struct.unpack_from("<I", data)
        elements.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    return np.array(elements)


def binary_request(body: dict[str, Any], *payloads: bytes) -> dict[str, Any]:
    header = json.dumps(body).encode()
    headers = {HEADER: str(len(header)), "Content-Type": "application/octet-stream"}
    return {"content": b"".join([header, *payloads]), "headers": headers}


def length_prefixed(elements: list[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def agrees(found: dict[str, np.ndarray], expected: list[dict[str, Any]]) -> None:
    """To the last bit where the values came in binary; JSON carries float32 digits, which come back the same."""
    probabilities = np.array([answer["probabilities"] for answer in expected], np.float32)
    assert (found["probabilities"].astype(np.float32) == probabilities).all()
    assert (found["reject"].astype(np.float32) == np.array([answer["reject"] for answer in expected], np.float32)).all()
    assert found["digit"].tolist() == [answer["digit"] for answer in expected]
    assert found["decision"].tolist() == [answer["decision"] for answer in expected]


# --- what is served ----------------------------------------------------------------------------------------------


def test_the_server_tells_its_name_version_and_extensions(client: TestClient) -> None:
    answer = client.get("/v2").json()
    assert answer["name"] == "digits"
    assert answer["extensions"] == ["binary_tensor_data"]


def test_alive_and_ready_under_either_name_that_the_specification_gives(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True, "live": True}


@pytest.mark.parametrize("path", ["/v2/models/digits", "/v2/models/digits/versions/{version}"])
def test_the_model_tells_its_tensors_and_is_ready(client: TestClient, path: str) -> None:
    version = client.get("/model").json()["version"]
    answer = client.get(path.format(version=version)).json()
    InferenceModel.model_validate(answer)
    assert (answer["name"], answer["versions"], answer["platform"]) == ("digits", [version], "onnx_onnxv1")
    assert [(entry["name"], entry["datatype"], entry["shape"]) for entry in answer["inputs"]] == [
        ("image", "UINT8", [-1, 28, 28])
    ]
    shapes = {entry["name"]: (entry["datatype"], entry["shape"]) for entry in answer["outputs"]}
    assert shapes["probabilities"] == ("FP32", [-1, 10])
    assert shapes["reject"] == ("FP32", [-1])
    assert client.get(f"{path.format(version=version)}/ready").json() == {"name": "digits", "ready": True}


# --- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flat"])
def test_digits_as_json_are_read_as_predict_reads_them(
    client: TestClient, digits: np.ndarray, expected: list[dict[str, Any]], flat: bool
) -> None:
    data = digits.ravel().tolist() if flat else digits.tolist()
    agrees(outputs(ask(client, tensor(data, [10, 28, 28]))), expected)


def test_digits_as_binary_are_read_as_predict_reads_them(
    client: TestClient, digits: np.ndarray, expected: list[dict[str, Any]]
) -> None:
    image = {"name": "image", "shape": [10, 28, 28], "datatype": "UINT8", "parameters": {"binary_data_size": 7840}}
    body = {"inputs": [image], "parameters": {"binary_data_output": True}}
    response = client.post(INFER, **binary_request(body, digits.tobytes()))
    assert response.headers["Content-Type"] == "application/octet-stream"
    agrees(outputs(response), expected)


@pytest.mark.parametrize("shape", [[10], [10, 1]])
def test_pictures_as_base64_are_read_as_predict_reads_them(
    client: TestClient, expected: list[dict[str, Any]], shape: list[int]
) -> None:
    encoded = [base64.b64encode(upload).decode() for upload in UPLOADS]
    data = encoded if len(shape) == 1 else [[text] for text in encoded]
    agrees(outputs(ask(client, tensor(data, shape, "BYTES"))), expected)


def test_pictures_as_binary_are_read_as_predict_reads_them(client: TestClient, expected: list[dict[str, Any]]) -> None:
    payload = length_prefixed(UPLOADS)
    image = {"name": "image", "shape": [10], "datatype": "BYTES", "parameters": {"binary_data_size": len(payload)}}
    agrees(outputs(client.post(INFER, **binary_request({"inputs": [image]}, payload))), expected)


def test_the_id_is_echoed_and_only_if_sent(client: TestClient) -> None:
    zeros = tensor([0] * 784, [1, 28, 28])
    answer = ask(client, zeros, id="c17").json()
    assert (answer["id"], answer["model_name"]) == ("c17", "digits")
    assert answer["model_version"] == client.get("/model").json()["version"]
    assert "id" not in ask(client, zeros).json()


def test_only_the_outputs_asked_for_come_back_in_that_order_and_form(client: TestClient, digits: np.ndarray) -> None:
    wanted = [{"name": "decision", "parameters": {"binary_data": True}}, {"name": "digit"}]
    response = ask(client, tensor(digits[:2].tolist(), [2, 28, 28]), outputs=wanted)
    found = outputs(response)
    assert list(found) == ["decision", "digit"]
    assert found["digit"].tolist() == [0, 1]
    message = json.loads(response.content[: int(response.headers[HEADER])])
    assert ["data" in output for output in message["outputs"]] == [False, True]


@pytest.mark.parametrize("datatype", ["UINT8", "BYTES"])
def test_without_ink_there_is_no_digit_and_no_probability(client: TestClient, datatype: str) -> None:
    blank = base64.b64encode(pictures.blank()).decode()
    image = tensor([0] * 784, [1, 28, 28]) if datatype == "UINT8" else tensor([blank], [1], "BYTES")
    found = outputs(ask(client, image))
    assert found["digit"].tolist() == [-1]
    assert found["probabilities"].tolist() == [[0] * 10]
    assert (found["reject"].tolist(), found["decision"].tolist()) == ([1], ["reject"])


def test_a_request_without_a_content_type_is_read(client: TestClient) -> None:
    """`curl -d` says x-www-form-urlencoded, other clients say nothing."""
    body = json.dumps({"inputs": [tensor([0] * 784, [1, 28, 28])]})
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "application/json"}):
        assert client.post(INFER, content=body, headers=headers).status_code == 200


def test_members_that_are_null_count_as_left_out(
    client: TestClient, digits: np.ndarray, expected: list[dict[str, Any]]
) -> None:
    image = tensor(digits.tolist(), [10, 28, 28], parameters=None)
    agrees(outputs(ask(client, image, id=None, parameters=None, outputs=None)), expected)
    image = tensor(None, [10, 28, 28], parameters={"binary_data_size": 7840})
    agrees(outputs(client.post(INFER, **binary_request({"inputs": [image]}, digits.tobytes()))), expected)


def test_readings_are_counted(client: TestClient) -> None:
    with TestClient(create_app(Settings.from_env())) as client:
        ask(client, tensor([0] * 1568, [2, 28, 28]))
        text = client.get("/metrics").text
    assert 'digit_predictions_total{decision="reject",digit="none"} 2.0' in text
    assert "digit_batch_items_sum 2.0" in text
    assert 'http_requests_total{method="POST",route="/v2/models/{name}/infer",status="200"} 1.0' in text


# --- errors ------------------------------------------------------------------------------------------------------


def refused(response: httpx2.Response, status: int) -> str:
    """What the protocol's error says."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    answer = response.json()
    assert list(answer) == ["error"]
    assert isinstance(answer["error"], str)
    assert not any(word in answer["error"] for word in ("Traceback", "0x", ".py"))
    return answer["error"]


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (tensor([0] * 783, [1, 28, 28]), "783 values, not the 784"),
        (tensor([0] * 784, [28, 28]), "must have the shape"),
        (tensor(["a"], [1, 1, 1], "BYTES"), "must have the shape"),
        (tensor([0] * 784, [1, 28, 28], "FP32"), "'FP32'"),
        (tensor([0] * 784, [1, 28, -28]), "positive integers"),
        (tensor([0] * 784, "1"), "positive integers"),
        (tensor([0] * 784, []), "positive integers"),
        (tensor([], [0, 28, 28]), "positive integers"),
        (tensor([0.5] * 784, [1, 28, 28]), "of integers"),
        (tensor([256] * 784, [1, 28, 28]), "from 0 to 255"),
        (tensor([-1] * 784, [1, 28, 28]), "from 0 to 255"),
        (tensor([10**30] * 784, [1, 28, 28]), "of integers"),
        (tensor([True] * 784, [1, 28, 28]), "of integers"),
        (tensor(["0"] * 784, [1, 28, 28]), "of integers"),
        (tensor([[0, 0], [0]], [1, 28, 28]), "different lengths"),
        (tensor(None, [1, 28, 28]), "of integers"),
        (tensor(7, [1, 28, 28]), "of integers"),
        (tensor([0] * 784, [1, 28, 28], parameters=[]), "'parameters' must be an object"),
        (tensor([0] * 784, [1, 28, 28], parameters={"binary_data_size": 784}), "both"),
        (tensor([0] * 784, [1, 28, 28], parameters={"shared_memory_region": "x"}), "not supported"),
        (tensor(["!"], [1], "BYTES"), "picture 0 is not valid base64"),
        (tensor([7], [1], "BYTES"), "list of strings"),
        (tensor(["AAAA"], [2], "BYTES"), "1 pictures, not the 2"),
        (tensor(["AAAA", "AAAA"], [1, 2], "BYTES"), "[N] or [N, 1]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_tensor_is_refused_saying_why(client: TestClient, image: dict[str, Any], said: str) -> None:
    assert said in refused(ask(client, image), 400)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "'inputs' must be a list"),
        ('{"inputs": [7]}', "'inputs' must be a list"),
        ('{"inputs": []}', "sent were: none"),
        ('{"inputs": [{"name": "x"}, {"name": "image"}]}', "sent were: 'x', 'image'"),
        ('{"inputs": [{"name": "image", "shape": [1, 28, 28], "datatype": "UINT8"}]}', "of integers"),
        (json.dumps({"id": 7, "inputs": []}), "'id' must be a string"),
        (json.dumps({"inputs": [tensor([0] * 784, [1, 28, 28])], "outputs": {}}), "'outputs' must be a list"),
        (json.dumps({"inputs": [tensor([0] * 784, [1, 28, 28])], "parameters": []}), "'parameters' must be an object"),
        (json.dumps({"inputs": [tensor([0] * 784, [1, 28, 28])], "outputs": [{"name": "x"}]}), "no output 'x'"),
        (
            json.dumps(
                {
                    "inputs": [tensor([0] * 784, [1, 28, 28])],
                    "outputs": [{"name": "digit", "parameters": {"classification": 3}}],
                }
            ),
            "'classification' is not supported",
        ),
        ("", "empty"),
    ],
)
def test_a_wrong_request_is_refused_saying_why(client: TestClient, body: str, said: str) -> None:
    assert said in refused(client.post(INFER, content=body), 400)


@pytest.mark.parametrize("length", ["0", "-1", "x", "9" * 30, "100000"])
def test_a_wrong_length_of_the_json_is_refused(client: TestClient, length: str) -> None:
    assert HEADER in refused(client.post(INFER, content=b"{}", headers={HEADER: length}), 400)


@pytest.mark.parametrize(
    ("payload", "said"),
    [(b"\x05\0\0\0abc", "end within"), (b"\x05\0", "end within"), (b"", "0 pictures"), (b"\0\0\0\0" * 2, "2 pictures")],
)
def test_binary_pictures_that_do_not_add_up_are_refused(client: TestClient, payload: bytes, said: str) -> None:
    image = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(payload)}}
    assert said in refused(client.post(INFER, **binary_request({"inputs": [image]}, payload)), 400)


def test_binary_data_that_no_tensor_claims_or_that_are_short_are_refused(client: TestClient) -> None:
    image = {"name": "image", "shape": [1, 28, 28], "datatype": "UINT8"}
    said = refused(client.post(INFER, **binary_request({"inputs": [image]}, b"\0" * 784)), 400)
    assert "binary_data_size" in said
    image |= {"parameters": {"binary_data_size": 784}}
    said = refused(client.post(INFER, **binary_request({"inputs": [image]}, b"\0" * 700)), 400)
    assert "784" in said
    assert "700" in said


def test_a_picture_that_is_none_fails_the_request_and_is_named(client: TestClient) -> None:
    data = [base64.b64encode(data).decode() for data in (UPLOADS[0], b"text")]
    assert refused(ask(client, tensor(data, [2], "BYTES")), 422).startswith("picture 1: ")


def test_other_errors_have_the_shape_of_the_protocol_too(client: TestClient) -> None:
    assert "'cats'" in refused(client.get("/v2/models/cats"), 404)
    assert "'9'" in refused(client.get("/v2/models/digits/versions/9"), 404)
    assert "'9'" in refused(client.post("/v2/models/digits/versions/9/infer", json={}), 404)
    refused(client.get("/v2/nowhere"), 404)
    response = client.get(INFER)
    refused(response, 405)
    assert response.headers["Allow"] == "POST"
    assert "image/png" in refused(client.post(INFER, content=b"x", headers={"Content-Type": "image/png"}), 415)
    refused(client.post(INFER, content=b"x", headers={"Content-Encoding": "gzip"}), 415)
    assert refused(ask(client, tensor([0], [257, 28, 28])), 413)
    assert client.get("/v2x").headers["Content-Type"] == "application/problem+json"


def test_limits_of_bytes_hold() -> None:
    small = Settings.from_env(max_image_bytes=100, max_batch_bytes=10_000)
    with TestClient(create_app(small)) as client:
        assert "picture 0" in refused(ask(client, tensor([base64.b64encode(UPLOADS[0]).decode()], [1], "BYTES")), 413)
        refused(client.post(INFER, content=b" " * 10_001), 413)


def test_keys_admission_and_deadlines_hold_here_too() -> None:
    zeros = {"inputs": [tensor([0] * 784, [1, 28, 28])]}
    with TestClient(create_app(Settings.from_env(api_keys="secret", max_in_flight=1))) as client:
        refused(client.post(INFER, json=zeros), 401)
        assert client.get("/v2/health/ready").status_code == 200
        keyed = {"Authorization": "Bearer secret"}
        assert client.post(INFER, json=zeros, headers=keyed).status_code == 200
        refused(client.post(INFER, json=zeros, headers=keyed | {"X-Request-Timeout-Ms": "soon"}), 400)
        client.app_state["service"].admission.requests = 1
        assert "Retry-After" in client.post(INFER, json=zeros, headers=keyed).headers
        refused(client.post(INFER, json=zeros, headers=keyed), 429)


def test_below_a_root_path_errors_keep_their_shape() -> None:
    with TestClient(create_app(Settings.from_env(root_path="/digits"))) as client:
        for path in ("/digits/v2/nowhere", "/v2/nowhere"):
            refused(client.get(path), 404)
        assert client.get("/digits/v2/models/digits").json()["name"] == "digits"


def test_a_service_that_is_not_ready_says_so() -> None:
    with TestClient(create_app(Settings.from_env())) as client:
        client.app_state["service"].ready = False
        for path in ("/v2/health/ready", "/v2/models/digits/ready"):
            response = client.get(path)
            refused(response, 503)
            assert int(response.headers["Retry-After"]) >= 1
        assert client.get("/v2/health/live").status_code == 200


def test_our_own_fault_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("/secret/path.py at 0x7f")

    monkeypatch.setattr(Reader, "read", broken)
    with TestClient(create_app(Settings.from_env()), raise_server_exceptions=False) as client:
        assert "secret" not in refused(ask(client, tensor([0] * 784, [1, 28, 28])), 500)


def test_openapi_documents_the_routes_and_their_errors(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v2/models/{name}/infer"]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", "application/octet-stream"}
    statuses = {"200", "400", "401", "404", "413", "415", "422", "429", "500", "503", "504"}
    assert statuses == set(operation["responses"])
    error = operation["responses"]["422"]["content"]["application/json"]["schema"]["$ref"]
    assert document["components"]["schemas"][error.rsplit("/", 1)[1]]["required"] == ["error"]
