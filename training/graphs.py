"""Networks taken apart and put together: one network's layers on top of another's output."""

from typing import Any


def inline(model: Any, tensor: Any, prefix: str = "") -> Any:
    """Repeat a network, weights included, on a symbolic tensor; returns its output.

    Every layer becomes a new one named `prefix` and its former name, so that several networks fit into one.
    """
    return _repeat(model, model.outputs[0], tensor, prefix)


def inline_features(model: Any, tensor: Any, prefix: str = "") -> Any:
    """As `inline`, but for the last layer: what the last layer is given."""
    return _repeat(model, model.layers[-1].input, tensor, prefix)


def _repeat(model: Any, wanted: Any, tensor: Any, prefix: str) -> Any:
    from training.backend import keras

    values = {id(model.inputs[0]): tensor}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        several = isinstance(layer.input, list)
        given = [values[id(each)] for each in (layer.input if several else [layer.input])]
        copy = layer.__class__.from_config(layer.get_config() | {"name": prefix + layer.name})
        values[id(layer.output)] = copy(given if several else given[0])
        copy.set_weights(layer.get_weights())
        if layer.output is wanted:
            break
    return values[id(wanted)]
