import importlib.util
from pathlib import Path

import pytest

from service.classifier import DigitClassifier
from tests.conftest import ROOT
from tests.training.digits import write_npz
from training import release


def test_the_walkthrough_walks_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From raw digits to a released model and a report, as the example does it, on tiny data."""
    monkeypatch.setattr(release, "MAX_UPLOAD_LOSS", 1.0)
    spec = importlib.util.spec_from_file_location("walkthrough", ROOT / "examples" / "walkthrough.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    source, folder = write_npz(tmp_path / "mnist.npz", 1000, 60), tmp_path / "out"
    assert example.main(["--data", str(source), "--folder", str(folder), "--epochs", "4"]) == 0
    told = capsys.readouterr().out
    verbs = (
        "explore",
        "train",
        "tune",
        "ensemble",
        "distil",
        "calibrate",
        "export",
        "evaluate",
        "baselines",
        "compare",
        "report",
        "predict",
        "release",
    )
    assert all(f"$ python -m training {verb} " in told for verb in verbs)
    assert DigitClassifier.load(folder / "models" / "digits.onnx").record.version == "0.0.1"
    assert "cnn_32_64_64_dense64" in (folder / "accuracy.md").read_text()
    assert (folder / "answers" / "seven.png").is_file()
