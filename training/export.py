"""Export: a run's network, with scaling and temperature, as one ONNX graph that answers uint8 digits.

Every dense layer is exported as the convolution that it equals. Convolutions work image by image, so an answer does
not depend on the batch it is in, to the last bit and on any processor; matrix products pick another kernel, with
another order of summation, by the number of rows. It also leaves nothing to reshape between features and classes.

The head is the same for every network: softmax over ten logits gives `probabilities`, softmax over eleven gives
`reject`. A network without a reject class gets an eleventh logit so low that its probability is exactly 0.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decisions import TARGET_ERRORS
from service.preprocessing import PREPROCESSING_VERSION, SIZE
from training.architectures import build
from training.data import Digits, sha256
from training.errors import ExportError
from training.evaluate import load_classifier
from training.graphs import producer, producers
from training.network import apply_temperature, load_keras_model, predict_logits
from training.recipe import Recipe
from training.runs import Run

NAME = "digits"
UNRELEASED = "0.0.0"
OPSET = 17  # tf2onnx 1.17 knows the file format only up to opset 18
MAX_DIFFERENCE = 1e-4
MAX_CHANGED_LABELS = 0
ALONE = 500  # digits that are also answered one by one

# exp(-1e4 / temperature) underflows to 0 at any temperature that calibration may choose.
NEVER = -1e4

# Signs of shapes computed at run time: each costs more than it does, and none is needed for a fixed 28x28.
# (A Concat of feature maps is what densely connected networks are made of, so it is no sign by itself.)
_FORBIDDEN = frozenset({"Shape", "Gather", "Slice", "Transpose", "Unsqueeze", "Squeeze", "Loop", "If"})


def export_run(run: Run, test: Digits) -> dict[str, Any]:
    """Export a calibrated run to its digits.onnx, check it, and write export.json.

    Args:
        run: trained and calibrated.
        test: digits on which graph and network must agree.

    Raises:
        RunError: the run has no model or is not calibrated.
        ExportError: the graph holds other operations, or does not answer as the network does.
    """
    calibration = run.read("calibration")
    model = load_keras_model(run.model_path)
    graph = convert(model, calibration["temperature"])
    write_metadata(graph, metadata(run, UNRELEASED, {}))
    part = run.onnx_path.with_suffix(".part.onnx")
    try:
        part.write_bytes(graph.SerializeToString())
        check_batches(part, test)
        result = check_graph(graph, part) | {"parity": check_parity(model, calibration["temperature"], part, test)}
        part.replace(run.onnx_path)
    finally:
        part.unlink(missing_ok=True)
    run.write("export", result | {"sha256": sha256(run.onnx_path)})
    return run.read("export")


def export_untrained(recipe: Recipe, path: Path) -> Path:
    """Write the graph of a recipe's network as it is before any training: as large and as fast as a trained one."""
    graph = convert(build(recipe), temperature=1.0)
    nothing: dict[str, Any] = {name: {} for name in ("training", "metrics")}
    thresholds = dict.fromkeys(map(str, TARGET_ERRORS))
    about: dict[str, Any] = {"name": NAME, "version": UNRELEASED, "preprocessing_version": PREPROCESSING_VERSION}
    about |= {"architecture": recipe.architecture, "labels": list(range(10)), "thresholds": thresholds}
    write_metadata(graph, about | nothing)
    path.write_bytes(graph.SerializeToString())
    return path


def convert(model: Any, temperature: float) -> Any:
    """The ONNX graph of a network from uint8 `[N, 28, 28]` to `probabilities` and `reject`."""
    import tensorflow as tf

    def answer(logits: Any) -> dict[str, Any]:
        logits = logits * np.float32(1 / temperature)
        digits, _ = tf.split(logits, [10, 1], axis=1)
        _, reject = tf.split(tf.nn.softmax(logits), [10, 1], axis=1)
        return {"probabilities": tf.nn.softmax(digits), "reject": tf.reshape(reject, [-1])}

    return _convert(model, answer)


def convert_logits(model: Any) -> Any:
    """The ONNX graph of a network from uint8 `[N, 28, 28]` to `logits`, `[N, 10]` or `[N, 11]`."""
    classes = int(model.output_shape[-1])
    return _convert(model, lambda logits: {"logits": logits[:, :classes]})


def _convert(model: Any, answer: Callable[[Any], dict[str, Any]]) -> Any:
    """The graph from uint8 `[N, 28, 28]` to what `answer` makes of the eleven logits."""
    import tensorflow as tf
    import tf2onnx

    network = as_convolutions(model)
    if (classes := int(model.output_shape[-1])) not in (10, 11):
        raise ExportError(f'the network has {classes} classes; only 10, or 11 with "no digit", can be exported')

    def whole(image: Any) -> dict[str, Any]:
        scaled = tf.cast(image, tf.float32) * np.float32(1 / 255)
        logits = network(tf.reshape(scaled, [-1, SIZE, SIZE, 1]), training=False)
        return answer(tf.reshape(logits, [-1, 11]))

    signature = [tf.TensorSpec((None, SIZE, SIZE), tf.uint8, name="image")]
    graph, _ = tf2onnx.convert.from_function(tf.function(whole), input_signature=signature, opset=OPSET)
    _name_batch_axis(graph)
    return graph


def as_convolutions(model: Any) -> Any:
    """The same network with Flatten and Dense as convolutions, and eleven classes.

    A dense layer on a flattened `[height, width, channels]` is a convolution whose kernel covers all of it; one on a
    vector is a convolution of kernel 1 on a 1x1 picture.

    Raises:
        ExportError: the network does not end in a dense layer.
    """
    from training.backend import keras

    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense) or not last.use_bias:
        raise ExportError(f"the network ends in {type(last).__name__}; it must end in Dense with a bias")
    kernels = _kernels_of_dense_layers(model)
    network = keras.models.clone_model(model, clone_function=lambda layer: _without_dense(layer, kernels, last.name))
    for layer in model.layers:
        weights = layer.get_weights()
        if layer.name in kernels:
            weights = _dense_as_convolution(weights, kernels[layer.name], eleven=layer is last)
        if weights:
            network.get_layer(layer.name).set_weights(weights)
    return network


def check_graph(graph: Any, path: Path) -> dict[str, Any]:
    """Operations and size of the graph.

    Raises:
        ExportError: it computes shapes at run time.
    """
    operations = Counter(node.op_type for node in graph.graph.node)
    if found := sorted(_FORBIDDEN & set(operations)):
        raise ExportError(f"the graph holds {', '.join(found)}; its shapes must be constant")
    return {"operations": dict(sorted(operations.items())), "bytes": path.stat().st_size, "opset": OPSET}


def check_parity(model: Any, temperature: float, path: Path, digits: Digits) -> dict[str, Any]:
    """Compare the file, run as the service runs it, with the network.

    Raises:
        ExportError: a label changed, or a probability differs by more than 1e-4.
    """
    expected, expected_reject = apply_temperature(predict_logits(model, digits.images), temperature)
    probabilities, reject = load_classifier(path).predict(digits.images)
    changed = int((probabilities.argmax(axis=1) != expected.argmax(axis=1)).sum())
    difference = float(max(np.abs(probabilities - expected).max(), np.abs(reject - expected_reject).max()))
    if changed > MAX_CHANGED_LABELS or not difference <= MAX_DIFFERENCE:
        raise ExportError(
            f"the graph does not answer as the network: {changed} of {len(digits)} labels changed, probabilities "
            f"differ by up to {difference:.2g}; allowed are {MAX_CHANGED_LABELS} and {MAX_DIFFERENCE:g}"
        )
    return {"n": len(digits), "changed_labels": changed, "max_difference": difference}


def check_batches(path: Path, digits: Digits) -> None:
    """Compare answers to digits alone with answers to the same digits in a batch.

    Raises:
        ExportError: a single bit differs.
    """
    classifier = load_classifier(path)
    images = digits.images[:ALONE]
    together = classifier.predict(images)
    alone = [classifier.predict(image[np.newaxis]) for image in images]
    for values, singles in zip(together, zip(*alone, strict=True), strict=True):
        if values.tobytes() != np.concatenate(singles).tobytes():
            raise ExportError("the graph answers a digit alone with other bits than the same digit in a batch")


def metadata(run: Run, version: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says of itself."""
    config, calibration = run.read("config"), run.read("calibration")
    return {
        "name": NAME,
        "version": version,
        "preprocessing_version": PREPROCESSING_VERSION,
        "architecture": run.recipe.architecture,
        "labels": list(range(10)),
        "thresholds": calibration["thresholds"],
        "doubt_at": calibration["doubt_at"],
        "calibration": {name: value for name, value in calibration.items() if name not in ("thresholds", "doubt_at")},
        "training": {
            **run.origin,
            "git": config["git"],
            "packages": config["machine"]["packages"],
            **run.read("training"),
        },
        "metrics": dict(metrics),
    }


def write_metadata(graph: Any, entries: Mapping[str, Any]) -> None:
    """Put the record into the graph: texts as they are, everything else as JSON."""
    import onnx

    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in entries.items()}
    onnx.helper.set_model_props(graph, texts)


def _kernels_of_dense_layers(model: Any) -> dict[str, tuple[int, int]]:
    """Height and width that the convolution in place of each dense layer has to cover."""
    from training.backend import keras

    kernels: dict[str, tuple[int, int]] = {}
    for layer, inputs in producers(model.outputs[0]):
        if isinstance(layer, keras.layers.Dense):
            source, given = producer(inputs[0])
            while isinstance(source, _pointwise()):
                source, given = producer(given[0])
            flattened = isinstance(source, keras.layers.Flatten)
            kernels[layer.name] = tuple(given[0].shape[1:3]) if flattened else (1, 1)
    return kernels


def _pointwise() -> tuple[type[Any], ...]:
    """Layers that leave a flattened picture flattened."""
    from training.backend import keras

    layers = keras.layers
    return layers.Dropout, layers.BatchNormalization, layers.Activation, layers.ReLU, layers.Identity


def _without_dense(layer: Any, kernels: Mapping[str, tuple[int, int]], last: str) -> Any:
    from training.backend import keras

    if isinstance(layer, keras.layers.Flatten):
        return keras.layers.Identity(name=layer.name)
    if isinstance(layer, keras.layers.UnitNormalization):
        return _columns_by_convolution(layer.name)
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return keras.layers.GlobalAveragePooling2D(keepdims=True, name=layer.name)
    if isinstance(layer, keras.layers.Dense):
        units = 11 if layer.name == last else layer.units
        options = {"activation": layer.activation, "use_bias": layer.use_bias, "name": layer.name}
        return keras.layers.Conv2D(units, kernels[layer.name], **options)
    return layer.__class__.from_config(layer.get_config())


def _columns_by_convolution(name: str) -> Any:
    """Columns brought to length 1 with their squares summed by a convolution: a sum's order may depend on the batch."""
    from training.backend import keras

    class Columns(keras.layers.Layer):  # type: ignore[misc] # Keras is not typed
        def call(self, image: Any) -> Any:
            squares = keras.ops.conv(image * image, np.ones((SIZE, 1, 1, 1), np.float32), padding="valid")
            return image * keras.ops.rsqrt(keras.ops.maximum(squares, 1e-12))

    return Columns(name=name)


def _dense_as_convolution(
    weights: list[NDArray[np.float32]], kernel: tuple[int, int], *, eleven: bool
) -> list[NDArray[np.float32]]:
    matrix, *biases = weights  # [inputs, units], [units] where there is a bias
    if eleven and matrix.shape[1] == 10:
        matrix = np.pad(matrix, ((0, 0), (0, 1)))
        biases = [np.append(bias, np.float32(NEVER)) for bias in biases]
    return [matrix.reshape(*kernel, -1, matrix.shape[1]), *biases]


def _name_batch_axis(graph: Any) -> None:
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
