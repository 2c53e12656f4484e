"""`POST /predict/batch`, as a form system meets it."""

import base64
import io
import struct
import zipfile

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.schemas import BatchPrediction
from service.settings import Settings
from tests import pictures
from tests.service.test_predict import problem

DIGITS = [3, 1, 4, 1, 5]
FILES = [pictures.png(digit, size=80 + index) for index, digit in enumerate(DIGITS)]
ZIP = {"Content-Type": "application/zip"}


def post_files(client: TestClient, files: list[tuple[str, bytes]]):
    return client.post("/predict/batch", files=[("files", (name, data, "image/png")) for name, data in files])


def digits(answer: dict) -> list[int | None]:
    return [result["prediction"] and result["prediction"]["digit"] for result in answer["results"]]


def ids(answer: dict) -> list[str | int]:
    return [result["id"] for result in answer["results"]]


def test_a_form_with_many_files(client: TestClient) -> None:
    response = post_files(client, [(f"cell-{index}.png", data) for index, data in enumerate(FILES)])
    assert response.status_code == 200
    answer = response.json()
    BatchPrediction.model_validate(answer)
    assert digits(answer) == DIGITS
    assert ids(answer) == [f"cell-{index}.png" for index in range(5)]
    assert [result["index"] for result in answer["results"]] == list(range(5))
    assert answer["counts"]["items"] == 5
    assert sum(answer["counts"][name] for name in ("accept", "review", "reject", "error")) == 5


def test_json_with_ids(client: TestClient) -> None:
    images = [{"id": f"c{i}", "image": base64.b64encode(data).decode()} for i, data in enumerate(FILES)]
    images[1]["id"] = 42
    del images[2]["id"]
    answer = client.post("/predict/batch", json={"images": images}).json()
    assert digits(answer) == DIGITS
    assert ids(answer) == ["c0", 42, "item-3", "c3", "c4"]


@pytest.mark.parametrize("headers", [ZIP, {"Content-Type": "application/octet-stream"}, {}])
def test_a_zip_archive(client: TestClient, headers: dict[str, str]) -> None:
    data = pictures.archive({f"scan/{index}.png": file for index, file in enumerate(FILES)})
    answer = client.post("/predict/batch", content=data, headers=headers).json()
    assert digits(answer) == DIGITS
    assert ids(answer) == [f"scan/{index}.png" for index in range(5)]


@pytest.mark.parametrize("headers", [{"Content-Type": "image/tiff"}, {}])
def test_a_tiff_of_several_pages(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/predict/batch", content=pictures.tiff(DIGITS), headers=headers).json()
    assert digits(answer) == DIGITS
    assert ids(answer) == ["page-1", "page-2", "page-3", "page-4", "page-5"]


def test_each_prediction_equals_that_of_the_single_route(client: TestClient) -> None:
    answer = post_files(client, [("x.png", data) for data in FILES]).json()
    for data, result in zip(FILES, answer["results"], strict=True):
        alone = client.post("/predict", content=data).json()
        assert result["prediction"] == {key: value for key, value in alone.items() if key != "model"}
        assert answer["model"] == alone["model"]


def test_options_hold_for_every_item(client: TestClient) -> None:
    files = [("files", ("x.png", data, "image/png")) for data in FILES[:2]]
    answer = client.post("/predict/batch?accept_at=0&include=image", files=files).json()
    assert answer["counts"]["accept"] == 2
    assert all(result["prediction"]["image"] for result in answer["results"])


def test_a_bad_item_keeps_its_place_and_harms_no_neighbour(client: TestClient) -> None:
    files = [
        ("good.png", FILES[0]),
        ("text.png", b"no picture"),
        ("half.png", FILES[1][: len(FILES[1]) // 2]),
        ("empty.png", b""),
        ("huge.png", pictures.png_header(50_000, 50_000)),
        ("blank.png", pictures.blank()),
        ("also good.png", FILES[4]),
    ]
    answer = post_files(client, files).json()
    codes = [result["error"] and result["error"]["code"] for result in answer["results"]]
    assert codes == [None, "invalid_image", "invalid_image", "invalid_request", "too_large", None, None]
    assert digits(answer) == [3, None, None, None, None, None, 5]
    assert answer["counts"]["error"] == 4
    assert answer["counts"]["reject"] == 1
    BatchPrediction.model_validate(answer)


def test_a_bad_json_item_keeps_its_place_and_id(client: TestClient) -> None:
    good = base64.b64encode(FILES[0]).decode()
    images = [{"id": "a", "image": good}, {"id": "b", "image": "?"}, {"id": "c"}, "d", {"id": [1], "image": good}]
    answer = client.post("/predict/batch", json={"images": images}).json()
    assert digits(answer) == [3, None, None, None, None]
    assert ids(answer) == ["a", "b", "c", "item-4", "item-5"]
    assert {result["error"]["code"] for result in answer["results"][1:]} == {"invalid_request"}


def test_members_whose_names_leave_the_archive_are_refused_one_by_one(client: TestClient) -> None:
    members = {"../evil.png": FILES[0], "/etc/evil.png": FILES[0], "C:\\evil.png": FILES[0], "fine.png": FILES[0]}
    answer = client.post("/predict/batch", content=pictures.archive(members), headers=ZIP).json()
    assert digits(answer) == [None, None, None, 3]
    assert all("out of the archive" in result["error"]["detail"] for result in answer["results"][:3])


def test_folders_and_what_archivers_add_are_left_out(client: TestClient) -> None:
    members = {"cells/": b"", "__MACOSX/cells/._a.png": b"x", "cells/.DS_Store": b"x", "cells/a.png": FILES[0]}
    answer = client.post("/predict/batch", content=pictures.archive(members), headers=ZIP).json()
    assert ids(answer) == ["cells/a.png"]


def claim_size(data: bytes, size: int) -> bytes:
    """Rewrite the unpacked size that the archive's only member claims in the table of contents."""
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def test_an_archive_that_unpacks_too_large_is_refused_before_it_is_unpacked(client: TestClient) -> None:
    bomb = pictures.archive({f"{index}.png": b"\0" * 15 * 2**20 for index in range(5)})
    assert len(bomb) < 100_000
    body = problem(client.post("/predict/batch", content=bomb, headers=ZIP))
    assert (body["status"], body["code"]) == (413, "too_large")
    ten_gigabytes = claim_size(pictures.archive({"a.png": FILES[0]}), 4_000_000_000)
    assert problem(client.post("/predict/batch", content=ten_gigabytes, headers=ZIP))["code"] == "too_large"


def test_a_member_that_lies_about_its_size_is_not_unpacked_further(client: TestClient) -> None:
    liar = claim_size(pictures.archive({"a.png": b"\0" * 40 * 2**20}), 1000)
    answer = client.post("/predict/batch", content=liar, headers=ZIP).json()
    assert answer["results"][0]["error"]["code"] in ("too_large", "invalid_request")


def test_a_member_over_the_limit_of_one_picture_harms_no_other(client: TestClient) -> None:
    data = pictures.archive({"big.png": b"\0" * 17 * 2**20, "fine.png": FILES[0]})
    answer = client.post("/predict/batch", content=data, headers=ZIP).json()
    assert answer["results"][0]["error"]["code"] == "too_large"
    assert digits(answer) == [None, 3]


def test_a_corrupt_member_harms_no_other(client: TestClient) -> None:
    data = bytearray(pictures.archive({"a.png": FILES[0], "b.png": FILES[1]}, zipfile.ZIP_STORED))
    at = data.index(FILES[0]) + 50
    data[at] ^= 0xFF
    answer = client.post("/predict/batch", content=bytes(data), headers=ZIP).json()
    assert answer["results"][0]["error"]["code"] == "invalid_request"
    assert digits(answer) == [None, 1]


@pytest.mark.parametrize(
    ("request_", "status", "code", "said"),
    [
        ({"content": b""}, 400, "invalid_request", "empty"),
        ({"json": {"images": []}}, 400, "invalid_request", "empty"),
        ({"json": {"images": {}}}, 400, "invalid_request", "must be a list"),
        ({"json": {}}, 400, "invalid_request", "no member 'images'"),
        ({"files": {"file": FILES[0]}}, 400, "invalid_request", "no field 'files'; its fields are: 'file'"),
        ({"content": pictures.archive({}), "headers": ZIP}, 400, "invalid_request", "empty"),
        ({"content": b"PK\x03\x04 no archive", "headers": ZIP}, 400, "invalid_request", "not a zip archive"),
        ({"content": pictures.archive({"a": FILES[0]})[:-30], "headers": ZIP}, 400, "invalid_request", "truncated"),
        ({"content": b"II*\0", "headers": {"Content-Type": "image/tiff"}}, 422, "invalid_image", "TIFF"),
        ({"content": FILES[0], "headers": {"Content-Type": "image/tiff"}}, 422, "invalid_image", "TIFF"),
        ({"content": FILES[0], "headers": {"Content-Type": "image/png"}}, 415, "unsupported_media_type", "image/png"),
        ({"content": b"hello", "headers": {"Content-Type": "text/csv"}}, 415, "unsupported_media_type", "text/csv"),
        ({"json": {"images": [{"image": ""}] * 257}}, 413, "too_large", "256 items"),
        ({"files": [("files", FILES[0])] * 257}, 413, "too_large", "256 items"),
        (
            {"content": pictures.archive({f"{i}.png": b"x" for i in range(257)}), "headers": ZIP},
            413,
            "too_large",
            "256 items",
        ),
        (
            {"content": pictures.archive({f"{i}.png": b"" for i in range(20_000)}), "headers": ZIP},
            413,
            "too_large",
            "256 items",
        ),
    ],
)
def test_a_bad_batch_is_told_what_is_wrong(
    client: TestClient, request_: dict, status: int, code: str, said: str
) -> None:
    body = problem(client.post("/predict/batch", **request_))
    assert (body["status"], body["code"]) == (status, code)
    assert said in body["detail"]


def test_limits_are_those_of_the_settings() -> None:
    settings = Settings.from_env(
        max_image_bytes=2000, max_batch_bytes=9000, max_batch_items=3, max_image_pixels=10_000, max_unpacked_bytes=4000
    )
    small, long = pictures.png(7, size=40), b"x" * 2001
    with TestClient(create_app(settings)) as client:
        assert client.post("/predict", content=small).json()["digit"] == 7
        assert problem(client.post("/predict", content=long))["code"] == "too_large"
        assert problem(client.post("/predict", content=iter([long[:1500], long])))["code"] == "too_large"
        assert problem(client.post("/predict", files={"file": long}))["code"] == "too_large"
        encoded = base64.b64encode(long).decode()
        assert problem(client.post("/predict", json={"image": encoded}))["code"] == "too_large"
        assert problem(client.post("/predict", content=pictures.png(7, size=101)))["code"] == "too_large"
        assert problem(client.post("/predict/batch", content=b"x" * 9001))["code"] == "too_large"
        assert problem(client.post("/predict/batch", content=pictures.tiff([1] * 4, size=20)))["code"] == "too_large"
        answer = post_files(client, [("long", long), ("small", small)]).json()
        assert answer["results"][0]["error"]["code"] == "too_large"
        assert digits(answer) == [None, 7]


def test_an_encrypted_member_is_named_as_such(client: TestClient) -> None:
    buffer = io.BytesIO(pictures.archive({"a.png": FILES[0]}))
    data = bytearray(buffer.getvalue())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    answer = client.post("/predict/batch", content=bytes(data), headers=ZIP).json()
    assert "encrypted" in answer["results"][0]["error"]["detail"]
