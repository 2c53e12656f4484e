"""Where fine-tuning starts: at a finished run, or at a released file whose weights are read back into Keras.

A released graph holds all that a network knows: its normalisations are part of its convolutions, and its dense layers
are convolutions with the same numbers (`training.export`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.architectures import build
from training.data import Digits
from training.drawing import draw_digits
from training.errors import ExportError, RecipeError, RunError
from training.evaluate import load_classifier
from training.export import check_parity
from training.network import load_keras_model, to_input
from training.recipe import Recipe
from training.runs import OTHERS, Run

DRAWN = 500  # digits on which network and graph have to agree, and whose statistics normalisations start from

# Kernel `[height, width, inputs, outputs]` and bias `[outputs]`.
Convolution = tuple[NDArray[np.float32], NDArray[np.float32]]


def origin_of(path: Path) -> dict[str, Any]:
    """How the network of a run's folder or of a released file came about, as `Run.origin`.

    A file's `version` and `sha256` are told too.

    Raises:
        RunError: there is no such run or file, or the file does not tell.
    """
    if path.suffix != ".onnx":
        return Run.open(path).origin
    record = load_classifier(path).record
    names = ("run", "recipe", "seed", "data", *OTHERS)
    told = {name: record.training[name] for name in names if name in record.training}
    if missing := [name for name in names[:4] if name not in told]:
        raise RunError(f"{path} does not tell how it was trained: its record lacks {missing[0]!r}")
    return told | {"version": record.version, "sha256": record.sha256}


def load_initial(path: Path) -> Any:
    """The Keras network of a run's folder or of a released file.

    Raises:
        RunError: it is missing or unreadable, or a file that cannot be read back.
    """
    return read_back(path) if path.suffix == ".onnx" else load_keras_model(Run.open(path).model_path)


def read_back(path: Path) -> Any:
    """The Keras network whose export a file is, checked to answer drawn digits and noise as the file does.

    Raises:
        RunError: the file is no export of a known network, or of one whose layers are no chain.
    """
    import onnx

    recipe = origin_of(path)["recipe"]
    graph = onnx.load(path)
    calibration = {entry.key: entry.value for entry in graph.metadata_props}.get("calibration", "{}")
    drawn = draw_digits(DRAWN, np.random.default_rng(0))[0]
    noise = np.random.default_rng(1).integers(0, 256, (DRAWN // 10, *drawn.shape[1:]), np.uint8)
    pictures = np.concatenate([drawn, noise])
    try:
        model = build(Recipe.from_json(recipe))
        _fill(model, _convolutions(graph.graph), drawn)
        temperature = float(json.loads(calibration).get("temperature", 1.0))
        check_parity(model, temperature, path, Digits(pictures, np.zeros(len(pictures), np.uint8)))
    except (RecipeError, ExportError) as exc:
        raise RunError(f"{path} cannot be read back into a network: {exc}") from exc
    return model


def _convolutions(graph: Any) -> list[Convolution]:
    """The constants of each convolution, in the order in which they are computed."""
    from onnx import numpy_helper

    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type == "Conv":
            kernel, *bias = (constants[name] for name in node.input[1:])
            found.append((kernel.transpose(2, 3, 1, 0), bias[0] if bias else np.zeros(len(kernel), np.float32)))
    return found


def _fill(model: Any, convolutions: list[Convolution], pictures: NDArray[np.uint8]) -> None:
    """Give the layers of a chain their weights.

    In training a normalisation brings what it is given to mean 0 and variance 1. So that training goes on where it
    stood, each one starts from the statistics of what it is given on digits, and undoes them.

    Raises:
        ExportError: it is no chain, or the graph has other convolutions than the network.
    """
    from training.backend import keras

    layers = keras.layers
    weighted = [layer for layer in model.layers if isinstance(layer, layers.Conv2D | layers.Dense)]
    if not isinstance(model, keras.Sequential) or len(weighted) != len(convolutions):
        raise ExportError("only networks whose layers follow one another, as they were built, can be")
    left, bias, values = iter(convolutions), np.zeros(0, np.float32), to_input(pictures)
    try:
        for layer in model.layers:
            if layer in weighted:
                kernel, bias = next(left)
                layer.set_weights(_weights(layer, kernel, bias))
            elif isinstance(layer, layers.BatchNormalization):
                mean, variance = values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))
                layer.set_weights([np.sqrt(variance + layer.epsilon), bias + mean, mean, variance])
            values = np.asarray(layer(values, training=False))
    except ValueError as exc:
        raise ExportError("its convolutions are not those of the network") from exc


def _weights(layer: Any, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """What a layer takes of a convolution; a dense head of ten classes leaves the eleventh, which export added."""
    from training.backend import keras

    if isinstance(layer, keras.layers.Dense):
        return [kernel.reshape(-1, kernel.shape[-1])[:, : layer.units], bias[: layer.units]]
    return [kernel, bias] if layer.use_bias else [kernel]
