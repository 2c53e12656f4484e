"""`digits calibrate`: thresholds from reviewed results."""

import re
from pathlib import Path

import numpy as np
import pytest

from service.cli import main
from service.decisions import wilson_upper
from service.errors import ReviewedError
from service.reviewed import fit, read_reviewed


def write(folder: Path, text: str) -> Path:
    path = folder / "reviewed.csv"
    path.write_text(text, encoding="utf-8")
    return path


def sample(count: int, wrong_below: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """Confidences as float32 prints them; of those under `wrong_below` every tenth is wrong."""
    confidence = np.random.default_rng(0).uniform(0.5, 1, count).astype(np.float32)
    return confidence, (confidence >= wrong_below) | (np.arange(count) % 10 > 0)


def as_csv(confidence: np.ndarray, correct: np.ndarray) -> str:
    return "confidence,correct\n" + "".join(f"{c},{int(ok)}\n" for c, ok in zip(confidence, correct, strict=True))


def test_the_printed_threshold_keeps_the_promise_on_the_reviewed_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed is applied as a service would: confidence, a float32, against the text as a number."""
    confidence, correct = sample(4000)
    assert main(["calibrate", str(write(tmp_path, as_csv(confidence, correct))), "--target-error", "0.005"]) == 0
    out = capsys.readouterr().out
    accept_at = float(re.search(r"^  DIGITS_ACCEPT_AT=(\S+)$", out, re.M)[1])  # type: ignore[index]
    accepted = confidence.astype(float) >= accept_at
    errors = np.array([(~correct[accepted]).sum()])
    assert wilson_upper(errors, np.array([accepted.sum()]))[0] <= 0.005
    assert f"coverage {accepted.mean():.2%}" in out
    assert "4,000 reviewed readings" in out


def test_a_threshold_is_short_enough_to_copy_and_accepts_the_same(tmp_path: Path) -> None:
    confidence, correct = sample(4000)
    threshold = fit(read_reviewed(write(tmp_path, as_csv(confidence, correct))), 0.005).threshold
    assert threshold is not None
    assert len(str(threshold.accept_at)) <= 10
    assert threshold.coverage == np.mean(confidence.astype(float) >= threshold.accept_at)


def test_by_default_every_promise_of_the_models_record_is_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", str(write(tmp_path, as_csv(*sample(20_000))))]) == 0
    assert re.findall(r"at most (\S+)% wrong", capsys.readouterr().out) == ["1", "0.5", "0.1"]


def test_too_few_readings_are_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, as_csv(np.full(100, 0.99), np.ones(100, bool)))
    assert main(["calibrate", str(path), "--target-error", "0.001"]) == 1
    out = capsys.readouterr().out
    assert "nothing may be accepted unread; too few: it takes at least 2,703 readings" in out
    assert "DIGITS_ACCEPT_AT" not in out


def test_mistakes_among_the_surest_are_said_to_forbid_a_threshold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, as_csv(np.full(5000, 0.999), np.arange(5000) % 20 > 0))
    assert main(["calibrate", str(path), "--target-error", "0.01"]) == 1
    assert "no threshold keeps it: readings with a confidence of up to 0.999 were wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "Confidence,Correct\n0.9,yes\n0.4,no\n",
        "conf;right\n0,9;true\n0,4;false\n",
        "score\tresult\n0.9\tright\n0.4\twrong\n",
        "wrong,confidence\n0,0.9\n1,0.4\n",
        "path,digit,confidence,truth\na.png,7,0.9,7\nb.png,1,0.4,7.0\n",
        "\ufeffconfidence,correct\r\n0.9,1\r\n\r\n0.4,0\r\n",
        "path,digit,confidence,decision,reasons,error,truth\na,7,0.9,accept,,,7\nb,,0.0,reject,blank,,\nc,1,0.4,review,ambiguous,,7\n",
    ],
    ids=["case", "semicolons", "tabs", "wrong", "truth", "excel", "digits predict"],
)
def test_headers_are_found_by_many_names(tmp_path: Path, text: str) -> None:
    reviewed = read_reviewed(write(tmp_path, text))
    assert reviewed.confidence.tolist() == [0.9, 0.4]
    assert reviewed.correct.tolist() == [True, False]
    assert reviewed.acceptable.tolist() == [True, True]


def test_readings_kept_back_for_another_reason_count_as_not_accepted(tmp_path: Path) -> None:
    lines = ["confidence,correct,reasons", *["0.99,1,"] * 3000, *["0.99,0,cut_off"] * 1000]
    found = fit(read_reviewed(write(tmp_path, "\n".join(lines))), 0.005).threshold
    assert found is not None
    assert (found.coverage, found.error) == (0.75, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no column 'confidence' or 'conf'; its header is: empty"),
        ("certainty,correct\n0.9,1\n", r"has no column 'confidence' or 'conf'; its header is: certainty, correct"),
        ("confidence\n0.9\n", r"does not say what was right: it needs a column 'correct' or 'right'"),
        ("confidence,correct\n0.9,1\n1.5,1\n", r"line 3, column 'confidence': '1.5' is no confidence"),
        ("Conf,correct\n0.9,1\n\nn/a,1\n", r"line 4, column 'Conf': 'n/a' is no confidence"),
        ("confidence,OK\n0.9,maybe\n", r"line 2, column 'OK': 'maybe' is neither yes nor no"),
        ("confidence,digit,label\n0.9,3,\n", r"line 2, column 'label': it is empty"),
        ("confidence,correct\n0.9\n", r"line 2, column 'correct': '' is neither yes nor no"),
        ("confidence,correct\n", r"holds no reviewed reading"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReviewedError, match=message):
        read_reviewed(write(tmp_path, text))


def test_a_file_that_is_no_csv_stops_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\xff\x00")
    assert main(["calibrate", str(path)]) == 2
    assert main(["calibrate", str(tmp_path / "none.csv")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "picture.png is no CSV file in UTF-8" in first
    assert "none.csv cannot be read: No such file or directory" in second


@pytest.mark.parametrize("rate", ["0", "1", "-0.1", "half"])
def test_a_rate_that_is_none_is_refused(rate: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["calibrate", str(tmp_path / "any.csv"), "--target-error", rate])
    assert "--target-error" in capsys.readouterr().err
