import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from service.classifier import MAX_RUN, DigitClassifier
from service.errors import ModelError
from service.settings import released_model


def digits(n: int) -> np.ndarray:
    """Noise thick enough to exercise every path through the network."""
    return np.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=np.uint8)


def test_probabilities_sum_to_one_and_reject_is_one_value_an_image(classifier: DigitClassifier) -> None:
    probabilities, reject = classifier.predict(digits(5))
    assert probabilities.shape == (5, 10)
    assert probabilities.dtype == reject.dtype == np.float32
    assert reject.shape == (5,)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_batches_beyond_one_run_keep_their_order(classifier: DigitClassifier) -> None:
    many = digits(2 * MAX_RUN + 3)
    probabilities, reject = classifier.predict(many)
    assert len(probabilities) == len(reject) == len(many)
    last, _ = classifier.predict(many[-3:])
    np.testing.assert_allclose(probabilities[-3:], last, atol=1e-6)


def test_an_image_is_answered_alike_bit_for_bit_in_any_batch(classifier: DigitClassifier) -> None:
    many = digits(37)
    together, _ = classifier.predict(many)
    for size in (1, 2, 3, 5, 8, 16):
        parts = [classifier.predict(many[start : start + size])[0] for start in range(0, len(many), size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_the_record_carries_the_hash_of_the_file_and_all_thresholds(classifier: DigitClassifier) -> None:
    record = classifier.record
    assert len(record.sha256) == 64
    assert set(record.thresholds) == {"0.01", "0.005", "0.001"}
    assert record.name == "digits"


def test_the_released_model_warms_up(classifier: DigitClassifier) -> None:
    classifier.warm_up()


@pytest.fixture
def released() -> onnx.ModelProto:
    return onnx.load(released_model())


def save(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "changed.onnx"
    onnx.save(model, path)
    return path


def set_metadata(model: onnx.ModelProto, **changes: str) -> None:
    metadata = {entry.key: entry.value for entry in model.metadata_props} | changes
    helper.set_model_props(model, {key: value for key, value in metadata.items() if value})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx cannot be read: No such file"):
        DigitClassifier.load(tmp_path / "nowhere.onnx")


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    path.write_bytes(released_model().read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"half\.onnx \(5000 bytes\) is not a readable ONNX model"):
        DigitClassifier.load(path)


def test_another_input_shape_is_refused_with_what_differs(tmp_path: Path) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 32, 32])
    same = helper.make_tensor_value_info("same", TensorProto.UINT8, ["N", 32, 32])
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["same"])], "other", [image], [same])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match=r"changed\.onnx takes .*32, 32.* not one input 'image'"):
        DigitClassifier.load(save(model, tmp_path))


def test_a_missing_output_is_refused_with_what_differs(released: onnx.ModelProto, tmp_path: Path) -> None:
    del released.graph.output[1]
    with pytest.raises(ModelError, match=r"gives .* not .*reject"):
        DigitClassifier.load(save(released, tmp_path))


@pytest.mark.parametrize("count", [1, 2])
def test_a_fixed_number_of_pictures_is_refused(released: onnx.ModelProto, tmp_path: Path, count: int) -> None:
    for tensor in (*released.graph.input, *released.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = count
    with pytest.raises(ModelError, match=rf"takes .*{count}, 28, 28.* not one input 'image' .* \[N, 28, 28\]"):
        DigitClassifier.load(save(released, tmp_path))


def test_another_preprocessing_version_is_refused(released: onnx.ModelProto, tmp_path: Path) -> None:
    set_metadata(released, preprocessing_version="0")
    with pytest.raises(ModelError, match=r"preprocessing_version '0'; this service normalises as version"):
        DigitClassifier.load(save(released, tmp_path))


@pytest.mark.parametrize("name", ["version", "thresholds", "labels", "training"])
def test_missing_metadata_is_refused_by_name(released: onnx.ModelProto, tmp_path: Path, name: str) -> None:
    set_metadata(released, **{name: ""})
    with pytest.raises(ModelError, match=name):
        DigitClassifier.load(save(released, tmp_path))


def test_labels_of_another_task_are_refused(released: onnx.ModelProto, tmp_path: Path) -> None:
    set_metadata(released, labels=json.dumps(list(range(1, 11))))
    with pytest.raises(ModelError, match="labels"):
        DigitClassifier.load(save(released, tmp_path))


def test_a_model_that_misreads_a_drawn_digit_never_becomes_ready(released: onnx.ModelProto, tmp_path: Path) -> None:
    """All probabilities equal: each digit is read as 0."""
    tensors = [tensor for tensor in released.graph.initializer if tensor.data_type == TensorProto.FLOAT]
    for tensor in tensors:
        tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.FLOAT, tensor.dims, np.zeros(tensor.dims).ravel()))
    classifier = DigitClassifier.load(save(released, tmp_path))
    with pytest.raises(ModelError, match="drawn 0 and 1"):
        classifier.warm_up()
