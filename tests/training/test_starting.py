"""Fine-tuning starts where a released file stands: its weights are read back into Keras."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.conftest import ROOT
from training.data import Dataset
from training.errors import RunError
from training.evaluate import load_classifier
from training.export import export_run
from training.network import apply_temperature, load_keras_model, predict_logits, to_input
from training.runs import Run
from training.starting import load_initial, origin_of, read_back

RELEASED = ROOT / "models" / "digits.onnx"


@pytest.fixture(scope="module")
def released() -> Any:
    return read_back(RELEASED)


def with_record(source: Path, path: Path, **changes: Any) -> Path:
    """The same graph with other entries in its `training` record; None takes one away."""
    graph = onnx.load(source)
    entries = {entry.key: entry.value for entry in graph.metadata_props}
    training = json.loads(entries["training"]) | changes
    entries["training"] = json.dumps({name: value for name, value in training.items() if value is not None})
    onnx.helper.set_model_props(graph, entries)
    path.write_bytes(graph.SerializeToString())
    return path


def test_the_released_file_becomes_a_network_that_answers_alike(released: Any, dataset: Dataset) -> None:
    temperature = json.loads((ROOT / "models" / "digits.json").read_text())["calibration"]["temperature"]
    probabilities, reject = apply_temperature(predict_logits(released, dataset.test.images), temperature)
    expected, expected_reject = load_classifier(RELEASED).predict(dataset.test.images)
    assert np.abs(probabilities - expected).max() < 1e-5
    assert np.abs(reject - expected_reject).max() < 1e-5


def test_training_goes_on_where_the_released_network_stood(released: Any, dataset: Dataset) -> None:
    """While training, normalisations use a batch's own statistics; with weights merely folded in, that would be chance."""
    logits = np.asarray(released(to_input(dataset.test.images), training=True))
    served = load_classifier(RELEASED).predict(dataset.test.images)[0]
    assert (logits[:, :10].argmax(axis=1) == served.argmax(axis=1)).mean() >= 0.95


def test_weights_without_normalisation_come_back_as_they_were(
    exported_run: Run, dataset: Dataset, tmp_path: Path
) -> None:
    """Ten classes, a hidden dense layer, and a temperature in the graph."""
    run = Run(Path(shutil.copytree(exported_run.folder, tmp_path / exported_run.id)))
    run.write("calibration", run.read("calibration") | {"temperature": 1.7})
    export_run(run, dataset.test)
    back, former = read_back(run.onnx_path), load_keras_model(run.model_path)
    for mine, theirs in zip(back.get_weights(), former.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)


def test_a_run_and_its_file_tell_the_same_origin(exported_run: Run) -> None:
    of_run, of_file = origin_of(exported_run.folder), origin_of(exported_run.onnx_path)
    assert of_file.pop("version") == "0.0.0"
    assert of_file.pop("sha256") == exported_run.read("export")["sha256"]
    assert of_run == of_file
    assert of_run["run"] == exported_run.id


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": None}, "its record lacks 'recipe'"),
        ({"recipe": {"architecture": "ensemble"}}, "unknown architecture 'ensemble'"),
        ({"recipe": {"architecture": "residual"}}, "only networks whose layers follow one another"),
        ({"recipe": {"architecture": "cnn_32_64_dense256"}}, "its convolutions are not those of the network"),
    ],
)
def test_a_file_that_cannot_be_read_back_is_refused(
    exported_run: Run, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RunError, match=message):
        load_initial(with_record(exported_run.onnx_path, tmp_path / "other.onnx", **changes))


def test_a_network_that_answers_otherwise_is_refused(
    exported_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the graph of an architecture has changed since: here another activation than the network has now."""
    from training import starting
    from training.architectures import build

    def straight(recipe: Any) -> Any:
        model = build(recipe)
        model.layers[0].activation = lambda values: values
        return model

    monkeypatch.setattr(starting, "build", straight)
    with pytest.raises(RunError, match="cannot be read back into a network: the graph does not answer as the network"):
        read_back(Path(shutil.copy(exported_run.onnx_path, tmp_path)))
