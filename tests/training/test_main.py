import json
import subprocess
import sys
from pathlib import Path

import pytest

from service.classifier import DigitClassifier
from tests.training.digits import write_npz
from training import release
from training.__main__ import build_parser, main
from training.errors import TrainingError

VERBS = (
    "data",
    "explore",
    "train",
    "tune",
    "distil",
    "ensemble",
    "evaluate",
    "predict",
    "calibrate",
    "export",
    "release",
    "decisions",
    "ablate",
    "baselines",
    "compare",
    "report",
)


def test_the_whole_way_from_data_to_a_released_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every verb in turn, each on what the one before left; the service takes what comes out."""
    monkeypatch.setattr(release, "MAX_UPLOAD_LOSS", 0.05)
    data = ["--data", str(write_npz(tmp_path / "mnist.npz", train=400))]
    assert main(["train", *data, "--seeds", "0", "1", "--epochs", "8", "--runs", str(tmp_path / "runs")]) == 0
    first, second = sorted((tmp_path / "runs").iterdir())
    assert "the median run is" in capsys.readouterr().out
    assert main(["calibrate", *data, str(first)]) == 0
    assert main(["export", *data, str(first)]) == 0
    assert main(["evaluate", *data, "--uploads", "--record", str(tmp_path / "docs"), str(first)]) == 0
    assert "as PNG uploads" in capsys.readouterr().out
    assert main(["evaluate", *data, str(first), str(second)]) == 0
    assert "standard deviation" in capsys.readouterr().out
    models = tmp_path / "models"
    assert (
        main(["release", *data, "--version", "0.1.0", "--minimum-accuracy", "0.8", "--models", str(models), str(first)])
        == 0
    )
    record = json.loads((models / "digits.json").read_text())
    assert DigitClassifier.load(models / "digits.onnx").record.sha256 == record["sha256"]
    kept = json.loads((tmp_path / "docs" / f"{first.name}.json").read_text())
    assert kept["evaluation"]["test"]["accuracy"] == record["metrics"]["test"]["accuracy"]
    assert kept["evaluation"]["test"]["uploads"] == record["metrics"]["uploads"]
    drawn = {path.stem.removesuffix("-test") for path in (first / "plots").iterdir()}
    galleries = {f"digit{digit}" for digit in range(10)}
    assert drawn == {"confusion", "mistakes", "reliability", "occlusion", "history"} | galleries


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out.split()) > 40


def test_the_overview_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(f"\n  {verb} " in told for verb in VERBS)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "--architecture", "resnet"], "unknown architecture 'resnet'; known: "),
        (["train", "--epochs", "0"], "epochs is 0; it must be at least 1"),
        (["train", "--data", "nowhere"], "the data folder nowhere does not exist"),
        (["evaluate", "--data", "mnist.npz", "runs/none"], "runs/none is neither a run folder nor"),
        (["evaluate", "--data", "mnist.npz", "--uploads", "empty"], "is missing"),
        (["calibrate", "--data", "mnist.npz", "runs/none"], "the run folder runs/none does not exist"),
        (["export", "--data", "mnist.npz", "empty"], "config.json is missing"),
        (["release", "--data", "mnist.npz", "--version", "1.0.0", "empty"], "config.json is missing"),
        (["explore", "--data", "empty/mnist.npz"], "empty/mnist.npz does not exist"),
        (["tune", "--data", "mnist.npz", "--space", "speed=1,2"], "unknown recipe field 'speed'"),
        (["tune", "--data", "mnist.npz", "--space", "epochs=5:2"], "no range from a lower to a higher"),
        (["distil", "--data", "mnist.npz", "empty"], "config.json is missing"),
        (["ensemble", "--data", "mnist.npz", "empty"], "needs at least two runs"),
        (["ensemble", "--data", "mnist.npz", "empty", "none"], "config.json is missing"),
        (["predict", "--model", "missing.keras", "mnist.npz"], "missing.keras does not exist"),
        (["baselines", "--data", "mnist.npz", "perceptron"], "unknown baseline 'perceptron'; known: knn, svm"),
        (["compare", "--records", "empty"], "empty holds no records"),
        (["report", "--records", "empty"], "empty holds no records"),
        (["train", "--data", "mnist.npz", "--init-from", "runs/none"], "the run folder runs/none does not exist"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "mnist.npz", 50, 20)
    (tmp_path / "empty").mkdir()
    assert main(argv) == 2
    told = capsys.readouterr().err
    assert message in told.replace("\\", "/")
    assert told.startswith("error: ")
    assert told.count("\n") == 1


def test_ctrl_c_ends_without_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.data.load_dataset", interrupt)
    assert main(["train"]) == 130
    assert "--resume" in capsys.readouterr().err


def test_the_data_folder_is_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_DATA_DIR", str(tmp_path))
    assert build_parser().parse_args(["train"]).data == tmp_path
    assert build_parser().parse_args(["data"]).folder == tmp_path


def test_help_does_not_wait_for_tensorflow() -> None:
    code = "import sys; import training.__main__ as m; m.build_parser(); print('tensorflow' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_every_failure_of_the_package_is_caught_at_the_edge() -> None:
    import inspect

    from training import errors

    classes = [value for value in vars(errors).values() if inspect.isclass(value)]
    assert all(issubclass(value, TrainingError) for value in classes)
