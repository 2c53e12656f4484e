"""TensorFlow Lite files for phones and embedded boards: float, and int8 throughout.

    image [1, 28, 28, 1] --> probabilities [1, 10], and reject [1] where the network has a class for "no digit"

The float file takes float32 in 0..1. The int8 file takes the pixels as they are, uint8 in 0..255, and answers uint8
with a scale: every weight and every activation is an integer of eight bits, with ranges read off representative
digits (B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018), so that processors without floating point can run it.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data import Digits
from training.errors import ExportError
from training.evaluate import accuracy_of
from training.network import apply_temperature, load_keras_model, predict_logits, to_input
from training.runs import Run, write_bytes

REPRESENTATIVE = 500  # digits that the ranges of activations are read off
MAX_LOSS = 0.001  # of accuracy, by int8
MAX_DIFFERENCE = 1e-4  # of a probability, by the float file


def export_tflite(run: Run, representative: Digits, test: Digits) -> dict[str, Any]:
    """Write `digits.tflite` and `digits-int8.tflite` into a calibrated run, check them and write tflite.json.

    Args:
        run: trained and calibrated.
        representative: training digits, to choose the ranges of the activations by.
        test: digits to compare with the network on.

    Raises:
        RunError: the run has no model or is not calibrated.
        ExportError: a file does not answer as the network does, within what is allowed.
    """
    temperature = run.read("calibration")["temperature"]
    model = load_keras_model(run.model_path)
    expected, _ = apply_temperature(predict_logits(model, test.images), temperature)
    result = {}
    for name, sample in (("float", None), ("int8", representative.images[:REPRESENTATIVE])):
        content = convert(model, temperature, sample)
        result[name] = {"bytes": len(content), **_compare(predict(content, test.images), expected, test.labels)}
        _check(name, result[name])
        write_bytes(_path(run, name), content)
    run.write("tflite", result)
    return result


def convert(model: Any, temperature: float, representative: NDArray[np.uint8] | None = None) -> bytes:
    """The TensorFlow Lite file of a network; int8 throughout where representative digits are given."""
    import tensorflow as tf

    from training.backend import silenced_stderr

    classes = model.output_shape[-1]

    def answer(image: Any) -> dict[str, Any]:
        logits = model(image, training=False) * np.float32(1 / temperature)
        if classes == 10:
            return {"probabilities": tf.nn.softmax(logits)}
        digits, _ = tf.split(logits, [10, 1], axis=1)
        _, reject = tf.split(tf.nn.softmax(logits), [10, 1], axis=1)
        return {"probabilities": tf.nn.softmax(digits), "reject": tf.reshape(reject, [-1])}

    signature = [tf.TensorSpec((1, 28, 28, 1), tf.float32, name="image")]
    function = tf.function(answer, input_signature=signature).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if representative is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _one_by_one(representative)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    with silenced_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the converter itself deprecates
        content: bytes = converter.convert()
    return content


def predict(content: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities float32 `[N, 10]` as TensorFlow Lite's interpreter answers uint8 digits `[N, 28, 28]`."""
    interpreter = load_interpreter(content)
    [entry] = interpreter.get_input_details()
    outputs = [each for each in interpreter.get_output_details() if each["shape"].tolist() == [1, 10]]
    [output] = outputs
    integers = entry["dtype"] is np.uint8
    answers = []
    for image in images:
        pixels = image[np.newaxis, ..., np.newaxis] if integers else to_input(image[np.newaxis])
        interpreter.set_tensor(entry["index"], pixels)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(output["index"])[0])
    stacked = np.stack(answers)
    if not integers:
        return stacked
    scale, zero = output["quantization"]
    return np.asarray((stacked.astype(np.float32) - zero) * scale, np.float32)


def load_interpreter(content: bytes) -> Any:
    """TensorFlow Lite's interpreter of a file, ready to be asked."""
    import tensorflow as tf

    from training.backend import silenced_stderr

    with silenced_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it will move to another package some day
        interpreter = tf.lite.Interpreter(model_content=content)
        interpreter.allocate_tensors()
    return interpreter


def _one_by_one(images: NDArray[np.uint8]) -> Iterator[list[NDArray[np.float32]]]:
    for image in images:
        yield [to_input(image[np.newaxis])]


def _compare(
    probabilities: NDArray[np.float32], expected: NDArray[np.float32], labels: NDArray[np.uint8]
) -> dict[str, Any]:
    hits = int((probabilities.argmax(axis=1) == labels).sum())
    reference = float((expected.argmax(axis=1) == labels).mean())
    scores = accuracy_of(hits, len(labels))
    return {
        **scores,
        "lost": reference - scores["accuracy"],
        "changed_labels": int((probabilities.argmax(axis=1) != expected.argmax(axis=1)).sum()),
        "max_difference": float(np.abs(probabilities - expected).max()),
    }


def _check(name: str, result: dict[str, Any]) -> None:
    if name == "float" and (result["changed_labels"] or result["max_difference"] > MAX_DIFFERENCE):
        raise ExportError(
            f"the float TensorFlow Lite file does not answer as the network: {result['changed_labels']} of "
            f"{result['n']} labels changed, probabilities differ by up to {result['max_difference']:.2g}"
        )
    if name == "int8" and result["lost"] > MAX_LOSS:
        raise ExportError(f"the int8 file reads {result['lost']:.2%} fewer digits right; {MAX_LOSS:.2%} are allowed")


def _path(run: Run, name: str) -> Path:
    return run.folder / ("digits.tflite" if name == "float" else f"digits-{name}.tflite")
