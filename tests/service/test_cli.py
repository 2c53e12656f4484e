"""`digits` on the command line."""

import csv
import io
import json
import os
import subprocess
import sys
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


def test_patterns_are_resolved_where_the_shell_does_not(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--format", "csv", str(scans / "**" / "[13]*")]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [Path(row["path"]).name for row in rows] == ["3.png", "1.jpg"]


def test_a_file_may_be_named_like_a_pattern(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scans / "[1].png").write_bytes(pictures.png(4))
    assert main(["predict", "--format", "csv", str(scans / "[1].png")]) == 0
    assert "[1].png,4," in capsys.readouterr().out


def test_a_pattern_without_a_match_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path / "*.png")]) == 1
    assert "No such file" in capsys.readouterr().out


def test_a_hyphen_is_standard_input() -> None:
    command = [sys.executable, "-m", "service.cli", "predict", "--format", "csv", "-"]
    done = subprocess.run(command, input=pictures.png(6), capture_output=True, check=True)
    assert done.stdout.splitlines()[1].startswith(b"-,6,")


@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere allow text alone")
def test_a_name_that_is_no_text_is_shown_as_such(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(name)).write_bytes(pictures.png(2))
    for kind in ("table", "jsonl", "csv"):
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", "predict", "--format", kind, os.fsencode(tmp_path)],
            capture_output=True,
            check=True,
        )
        assert "\ufffd.png" in done.stdout.decode()


def test_thresholds_can_be_named(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def decision(*options: str) -> str:
        main(["predict", "--format", "jsonl", *options, str(scans / "7.png")])
        return str(json.loads(capsys.readouterr().out)["decision"])

    assert decision("--accept-at", "1") == "review"
    assert decision("--accept-at", "0.5") == "accept"
    assert decision("--target-error", "0.01") == "accept"


@pytest.mark.parametrize(
    "options", [["--accept-at", "2"], ["--target-error", "0.3"], ["--target-error", "0.01", "--accept-at", "0.9"]]
)
def test_bad_options_are_told(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["predict", *options, "x.png"])
    assert caught.value.code == 2
    assert options[0] in capsys.readouterr().err


def test_certainty_is_not_claimed_by_rounding(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", "--format", "jsonl", str(scans / "3.png")])
    confidence = json.loads(capsys.readouterr().out)["confidence"]
    main(["predict", str(scans / "3.png")])
    shown = float(capsys.readouterr().out.split()[5])
    assert 0 <= confidence - shown < 1e-4


def test_a_bar_is_shown_on_a_terminal_below_the_rows(scans: Path) -> None:
    """The rows go to standard output, the bar to standard error: redirected, a file holds rows alone."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "service.cli", "predict", "--format", "csv", str(scans)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, check=True)
    os.close(follower)
    shown = os.read(leader, 10_000).decode()
    os.close(leader)
    assert "] 4/4" in shown
    assert len(done.stdout.splitlines()) == 5
    assert b"\r\033" not in done.stdout


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


def test_numbers_are_read_with_what_is_known_of_them(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number = str(Path(__file__).parents[2] / "examples" / "number.png")
    assert main(["field", "--length", "5", "--accept-at", "0", number, str(scans / "blank.PNG")]) == 0
    header, read, blank = capsys.readouterr().out.splitlines()
    assert header.split() == ["text", "confidence", "decision", "path"]
    assert (len(read.split()[0]), read.split()[2]) == (5, "accept")
    assert blank.endswith("blank.PNG  (blank)")
    assert main(["field", "--format", "jsonl", "--target-error", "0.01", number]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["digits"]) == len(answer["text"])


def test_a_field_that_cannot_be_read_is_reported(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scans / "broken.png").write_bytes(b"no picture")
    assert main(["field", str(scans / "broken.png")]) == 1
    assert "1 of 1 pictures could not be read" in capsys.readouterr().err
    assert main(["field", str(scans / "page 3")]) in (1, 2)
    assert main(["field", "--length", "five", str(scans)]) == 2
    assert "'five' is no number of digits" in capsys.readouterr().err
