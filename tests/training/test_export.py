import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from service.classifier import DigitClassifier
from service.preprocessing import PREPROCESSING_VERSION
from training import export
from training.architectures import ARCHITECTURES, build
from training.backend import seed_everything
from training.data import Dataset
from training.errors import ExportError, RunError
from training.recipe import Recipe
from training.runs import Run


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def convert_to(path: Path, recipe: Recipe, temperature: float = 1.3) -> tuple[object, onnxruntime.InferenceSession]:
    seed_everything(0)
    model = build(recipe)
    path.write_bytes(export.convert(model, temperature).SerializeToString())
    return model, session(path)


def test_the_graph_has_the_names_and_shapes_of_the_contract(exported_run: Run) -> None:
    graph = session(exported_run.onnx_path)
    [image] = graph.get_inputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["N", 28, 28])
    outputs = {node.name: (node.type, node.shape) for node in graph.get_outputs()}
    assert outputs == {"probabilities": ("tensor(float)", ["N", 10]), "reject": ("tensor(float)", ["N"])}


def test_the_graph_computes_no_shapes_and_fits_a_megabyte(exported_run: Run) -> None:
    operations = {node.op_type for node in onnx.load(exported_run.onnx_path).graph.node}
    assert operations == {"Cast", "Reshape", "Mul", "Conv", "Relu", "MaxPool", "Split", "Softmax"}
    assert exported_run.onnx_path.stat().st_size <= 1_000_000


def test_graph_and_network_agree(exported_run: Run) -> None:
    parity = exported_run.read("export")["parity"]
    assert parity["changed_labels"] == 0
    assert parity["max_difference"] <= 1e-5


def test_the_metadata_are_those_the_service_reads(exported_run: Run) -> None:
    record = DigitClassifier.load(exported_run.onnx_path).record
    assert (record.name, record.architecture, record.labels) == ("digits", "cnn_225k", tuple(range(10)))
    assert record.preprocessing_version == PREPROCESSING_VERSION
    assert record.training["seed"] == 0
    assert record.training["data"]["hashes"] == exported_run.read("config")["data"]["hashes"]
    raw = session(exported_run.onnx_path).get_modelmeta().custom_metadata_map
    assert json.loads(raw["thresholds"]) == exported_run.read("calibration")["thresholds"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 16, 17, 64])
def test_an_answer_does_not_depend_on_its_batch(exported_run: Run, dataset: Dataset, size: int) -> None:
    """Bit for bit, whoever shares the batch."""
    graph, images = session(exported_run.onnx_path), dataset.test.images
    whole = graph.run(None, {"image": images})
    for start in range(0, len(images), size):
        part = graph.run(None, {"image": images[start : start + size]})
        for ours, reference in zip(part, whole, strict=True):
            assert ours.tobytes() == reference[start : start + size].tobytes()


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("classes", [10, 11])
def test_every_architecture_can_be_exported(tmp_path: Path, dataset: Dataset, name: str, classes: int) -> None:
    model, graph = convert_to(tmp_path / "a.onnx", Recipe(name, classes=classes))
    export.check_graph(onnx.load(tmp_path / "a.onnx"), tmp_path / "a.onnx")
    expected = export.apply_temperature(export.predict_logits(model, dataset.test.images), 1.3)
    for ours, theirs in zip(graph.run(None, {"image": dataset.test.images}), expected, strict=True):
        assert np.abs(ours - theirs).max() < 1e-5


def with_batch_normalisation(classes: int) -> object:
    from training.backend import keras

    layers = [keras.Input((28, 28, 1))]
    for channels, kernel in ((16, 5), (16, 5)):
        layers += [keras.layers.Conv2D(channels, kernel, use_bias=False), keras.layers.BatchNormalization()]
        layers += [keras.layers.ReLU(), keras.layers.MaxPooling2D()]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(classes)])


def residual(classes: int) -> object:
    from training.backend import keras

    image = keras.Input((28, 28, 1))
    first = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(image)
    second = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)(first)
    joined = keras.layers.ReLU()(keras.layers.Add()([first, keras.layers.BatchNormalization()(second)]))
    pooled = keras.layers.GlobalAveragePooling2D()(joined)
    return keras.Model(image, keras.layers.Dense(classes)(pooled))


def perceptron(classes: int) -> object:
    from training.backend import keras

    hidden = [keras.layers.Dense(32, use_bias=False), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), *hidden, keras.layers.Dense(classes)])


@pytest.mark.parametrize("network", [with_batch_normalisation, residual, perceptron])
def test_networks_of_any_kind_become_convolutions_with_batch_normalisation_folded(
    tmp_path: Path, dataset: Dataset, network: Callable[[int], object]
) -> None:
    seed_everything(0)
    model = network(10)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(variable + rng.uniform(0, 0.2, size=variable.shape))
    graph = export.convert(model, 2.0)
    operations = {node.op_type for node in graph.graph.node}
    assert not operations & {"BatchNormalization", "MatMul", "Gemm", "Transpose", "Shape"}
    (tmp_path / "a.onnx").write_bytes(graph.SerializeToString())
    expected, _ = export.apply_temperature(export.predict_logits(model, dataset.test.images), 2.0)
    probabilities, _ = session(tmp_path / "a.onnx").run(None, {"image": dataset.test.images})
    assert np.abs(probabilities - expected).max() < 1e-5


def test_a_network_that_ends_in_a_pooling_is_refused() -> None:
    from training.backend import keras

    layers = [keras.Input((28, 28, 1)), keras.layers.Conv2D(10, 3), keras.layers.GlobalAveragePooling2D()]
    with pytest.raises(ExportError, match="ends in GlobalAveragePooling2D; it must end in Dense"):
        export.convert(keras.Sequential(layers), 1.0)


def test_without_a_reject_class_reject_is_exactly_0(exported_run: Run, dataset: Dataset) -> None:
    _, reject = session(exported_run.onnx_path).run(None, {"image": dataset.test.images})
    assert reject.shape == (len(dataset.test),)
    assert not reject.any()


def test_a_graph_that_answers_otherwise_is_not_kept(
    exported_run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(exported_run, tmp_path)
    honest = export.convert
    monkeypatch.setattr(export, "convert", lambda model, temperature: honest(model, temperature * 1.5))
    with pytest.raises(ExportError, match=r"does not answer as the network.*allowed are 0 and 0.0001"):
        export.export_run(run, dataset.test)
    assert not run.onnx_path.exists()
    assert not list(run.folder.glob("*part*"))


def test_a_graph_whose_answers_depend_on_the_batch_is_refused(
    exported_run: Run, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = DigitClassifier.predict

    def by_batch(self: DigitClassifier, digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities, reject = honest(self, digits)
        return np.nextafter(probabilities, 1) if len(digits) > 1 else probabilities, reject

    monkeypatch.setattr(DigitClassifier, "predict", by_batch)
    with pytest.raises(ExportError, match="alone with other bits"):
        export.check_batches(exported_run.onnx_path, dataset.test)


def test_a_graph_with_shapes_computed_at_run_time_is_refused(exported_run: Run) -> None:
    graph = onnx.load(exported_run.onnx_path)
    graph.graph.node.append(onnx.helper.make_node("Shape", ["image"], ["shape"]))
    with pytest.raises(ExportError, match="holds Shape"):
        export.check_graph(graph, exported_run.onnx_path)


def test_a_run_that_is_not_calibrated_names_the_verb(exported_run: Run, dataset: Dataset, tmp_path: Path) -> None:
    run = copy_of(exported_run, tmp_path)
    (run.folder / "calibration.json").unlink()
    with pytest.raises(RunError, match="python -m training calibrate"):
        export.export_run(run, dataset.test)


def copy_of(run: Run, folder: Path) -> Run:
    import shutil

    copy = Run(Path(shutil.copytree(run.folder, folder / run.id)))
    copy.onnx_path.unlink()
    return copy
