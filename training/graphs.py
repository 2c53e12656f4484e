"""Networks taken apart and put together: one network's layers on top of another's output."""

from typing import Any


def producer(tensor: Any) -> tuple[Any, list[Any]]:
    """The layer that a symbolic tensor comes from, and the tensors it was given.

    `layer.input` would be that of the layer's first call, which in a loaded network may not be the one that counts.
    """
    history = tensor._keras_history
    return history.operation, list(history.operation._inbound_nodes[history.node_index].input_tensors)


def producers(tensor: Any) -> list[tuple[Any, list[Any]]]:
    """Every layer that a tensor depends on with the tensors it was given, from the input onwards."""
    found: dict[int, tuple[Any, list[Any]]] = {}

    def visit(each: Any) -> None:
        layer, inputs = producer(each)
        if id(layer) not in found:
            for source in inputs:
                visit(source)
            found[id(layer)] = (layer, inputs)

    visit(tensor)
    return list(found.values())


def inline(model: Any, tensor: Any, prefix: str = "") -> Any:
    """Repeat a network, weights included, on a symbolic tensor; returns its output.

    Every layer becomes a new one named `prefix` and its former name, so that several networks fit into one.
    """
    return _repeat(model.outputs[0], tensor, prefix)


def inline_features(model: Any, tensor: Any, prefix: str = "") -> Any:
    """As `inline`, but for the last layer: what the last layer is given."""
    _, [features] = producer(model.outputs[0])
    return _repeat(features, tensor, prefix)


def _repeat(wanted: Any, tensor: Any, prefix: str) -> Any:
    values: dict[int, Any] = {}
    for layer, inputs in producers(wanted):
        if not inputs:
            values[id(layer)] = tensor
            continue
        given = [values[id(producer(each)[0])] for each in inputs]
        copy = layer.__class__.from_config(layer.get_config() | {"name": prefix + layer.name})
        values[id(layer)] = copy(given if len(given) > 1 else given[0])
        copy.set_weights(layer.get_weights())
    return values[id(producer(wanted)[0])]
