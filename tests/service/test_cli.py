"""`digits` on the command line."""

import csv
import io
import json
from pathlib import Path

import pytest

from service.cli import main
from service.settings import released_model
from tests import pictures


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of pictures with one broken file, one in a subfolder, and one that is no picture."""
    folder = tmp_path / "scans"
    (folder / "page 2").mkdir(parents=True)
    for digit in (3, 7):
        (folder / f"{digit}.png").write_bytes(pictures.png(digit))
    (folder / "blank.PNG").write_bytes(pictures.blank())
    (folder / "page 2" / "1.jpg").write_bytes(pictures.encode(pictures.draw(1), "JPEG"))
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_folder_is_read_into_a_table(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(scans)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["digit", "confidence", "decision", "path"]
    assert [line.split()[0] for line in lines[1:]] == ["3", "7", "-", "1"]
    assert lines[3].endswith("blank.PNG  (blank)")


def test_jsonl_has_a_whole_answer_a_line(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--format", "jsonl", str(scans / "7.png"), str(scans / "blank.PNG")]) == 0
    seven, blank = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert seven["digit"] == 7
    assert seven["confidence"] == max(seven["probabilities"])
    assert blank["digit"] is None
    assert blank["reasons"] == ["blank"]


def test_csv_is_read_by_the_csv_module(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--format", "csv", str(scans)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["digit"] for row in rows] == ["3", "7", "", "1"]
    assert rows[0]["path"].endswith("3.png")


def test_a_broken_or_missing_file_is_reported_and_the_rest_is_done(
    scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = scans / "broken.png"
    broken.write_bytes(pictures.png(5)[:200])
    assert main(["predict", "--format", "jsonl", str(broken), str(scans / "none.png"), str(scans / "3.png")]) == 1
    captured = capsys.readouterr()
    first, second, third = [json.loads(line) for line in captured.out.splitlines()]
    assert first["error"]["code"] == "invalid_image"
    assert "No such file" in second["error"]["detail"]
    assert third["digit"] == 3
    assert "2 of 3 pictures could not be read" in captured.err


def test_more_pictures_than_one_run_keep_their_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(70):
        (tmp_path / f"{index:03}.png").write_bytes(pictures.png(index % 10, size=60))
    assert main(["predict", "--format", "jsonl", str(tmp_path)]) == 0
    read = [json.loads(line)["digit"] for line in capsys.readouterr().out.splitlines()]
    assert read == [index % 10 for index in range(70)]


def test_an_empty_folder_is_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path)]) == 1
    assert "no pictures" in capsys.readouterr().err


def test_info_prints_the_record_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["name"] == "digits"
    assert record["thresholds"]["0.005"]["accept_at"] > 0.5


def test_a_missing_model_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--model", "nowhere.onnx"]) == 2
    assert capsys.readouterr().err.startswith("digits: the model file nowhere.onnx cannot be read")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("digits ")


def test_the_released_model_is_that_of_its_record() -> None:
    import hashlib

    record = json.loads(released_model().with_suffix(".json").read_text())
    assert record["sha256"] == hashlib.sha256(released_model().read_bytes()).hexdigest()
