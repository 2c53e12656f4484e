import hashlib
import json
import shutil
from pathlib import Path

import onnxruntime
import pytest

from service.classifier import DigitClassifier
from training import release
from training.data import Dataset
from training.errors import ExportError, ReleaseError, RunError
from training.release import release_run
from training.runs import Run


@pytest.fixture(autouse=True)
def _lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One printed digit in a hundred is a whole point: the real limit needs ten thousand."""
    monkeypatch.setattr(release, "MAX_UPLOAD_LOSS", 0.05)


@pytest.fixture
def run(exported_run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(exported_run.folder, tmp_path / exported_run.id)))


def released(run: Run, dataset: Dataset, folder: Path, **options: float) -> dict[str, object]:
    return release_run(run, dataset, "1.2.3", folder, minimum_accuracy=options.get("minimum_accuracy", 0.9))


def test_a_release_is_graph_record_and_card(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    released(run, dataset, tmp_path / "models")
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["README.md", "digits.json", "digits.onnx"]


def test_the_record_repeats_the_files_metadata_with_its_hash(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    released(run, dataset, tmp_path / "models")
    record = json.loads((tmp_path / "models" / "digits.json").read_text())
    path = tmp_path / "models" / "digits.onnx"
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert record.pop("sha256") == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["version"] == metadata["version"] == "1.2.3"
    for name, value in record.items():
        assert metadata[name] == value or json.loads(metadata[name]) == value


def test_the_service_takes_the_release(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    released(run, dataset, tmp_path / "models")
    classifier = DigitClassifier.load(tmp_path / "models" / "digits.onnx")
    classifier.warm_up()
    assert classifier.record.metrics["test"]["n"] == len(dataset.test)


def test_the_card_tells_the_figures_of_the_record(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    record = released(run, dataset, tmp_path / "models")
    card = (tmp_path / "models" / "README.md").read_text()
    test = record["metrics"]["test"]
    assert f"{test['accuracy']:.2%}" in card
    assert record["sha256"] in card
    assert "$" not in card


def test_an_inaccurate_run_is_not_released(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"accuracy on the test set is .*; at least 1.5000 is asked"):
        released(run, dataset, tmp_path / "models", minimum_accuracy=1.5)
    assert not list((tmp_path / "models").iterdir())


def test_a_failed_release_leaves_the_former_one(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    released(run, dataset, tmp_path / "models")
    before = {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()}
    with pytest.raises(ReleaseError):
        released(run, dataset, tmp_path / "models", minimum_accuracy=1.5)
    assert {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()} == before


def test_a_file_over_a_megabyte_is_not_released(
    run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "MAX_BYTES", 1000)
    with pytest.raises(ReleaseError, match="a released one has at most 1000"):
        released(run, dataset, tmp_path / "models")
    assert not list((tmp_path / "models").iterdir())


def test_a_network_whose_uploads_suffer_is_not_released(
    run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "MAX_UPLOAD_LOSS", -1.0)
    with pytest.raises(ReleaseError, match="as uploads the test set is read with"):
        released(run, dataset, tmp_path / "models")


def test_a_graph_changed_after_its_export_is_not_released(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    run.onnx_path.write_bytes(run.onnx_path.read_bytes() + b"\0")
    with pytest.raises(ReleaseError, match="was changed since it was exported"):
        released(run, dataset, tmp_path / "models")


def test_a_network_trained_on_after_its_export_is_not_released(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    from training.network import load_keras_model

    model = load_keras_model(run.model_path)
    model.set_weights([weights * 0.9 for weights in model.get_weights()])
    model.save(run.model_path)
    with pytest.raises(ExportError, match="does not answer as the network"):
        released(run, dataset, tmp_path / "models")


def test_a_run_that_was_not_exported_names_the_verb(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    run.onnx_path.unlink()
    with pytest.raises(RunError, match="python -m training export"):
        released(run, dataset, tmp_path / "models")


@pytest.mark.parametrize("version", ["1", "v1.2.3", "1.2.3-rc1", ""])
def test_a_version_has_three_numbers(run: Run, dataset: Dataset, tmp_path: Path, version: str) -> None:
    with pytest.raises(ReleaseError, match=r"not of the form 1.2.3"):
        release_run(run, dataset, version, tmp_path / "models")
