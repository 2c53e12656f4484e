"""A network trained in fewer passes, or in bfloat16, comes to the same weights but for rounding."""

from dataclasses import replace

import numpy as np
import pytest

from training.recipe import Recipe

pytest.importorskip("tensorflow")

from training.architectures import build
from training.arithmetic import as_trained
from training.backend import keras, seed_everything

RECIPE = Recipe("ours", classes=11)


def a_few_steps(model):
    rng = np.random.default_rng(1)
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = []
    for _ in range(2):
        labels = rng.integers(0, 10, 64)
        images = rng.random((64, 28, 28, 1), np.float32) * 0.1
        images[np.arange(64), 2 * labels + 4] = 1  # a line whose height tells the label
        losses.append(float(model.train_on_batch(images, labels)))
    return losses, model.get_weights()


def a_smooth_network():
    """Our network without chance and without kinks.

    An activation or a tie within rounding of a kink passes its gradient in one of two equally right computations and not
    in the other, which hides what is compared here.
    """
    layers = keras.layers

    def smooth(layer):
        match layer:
            case layers.ReLU():
                return layers.Activation("softplus", name=layer.name)
            case layers.MaxPooling2D():
                return layers.AveragePooling2D(layer.pool_size, layer.strides, name=layer.name)
            case layers.Dropout():
                return layers.Dropout(0, name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(build(RECIPE), clone_function=smooth)


@pytest.fixture(scope="module")
def plain():
    seed_everything(0)
    model = a_smooth_network()
    start = model.get_weights()
    return start, *a_few_steps(model)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.02)])
def test_it_comes_to_the_same_weights(plain, precision, tolerance):
    start, losses, weights = plain
    seed_everything(0)
    model = a_smooth_network()
    model.set_weights(start)
    trained = as_trained(model, precision)
    assert trained is not model
    steps, ended = a_few_steps(trained)
    assert steps == pytest.approx(losses, rel=tolerance)
    moved = np.concatenate([(after - before).ravel() for after, before in zip(weights, start, strict=True)])
    off = np.concatenate([(mine - theirs).ravel() for mine, theirs in zip(ended, weights, strict=True)])
    # What is compared has moved far enough to be compared.
    assert np.linalg.norm(moved) > 0.05
    assert np.linalg.norm(off) < tolerance * np.linalg.norm(moved)


def test_weights_and_the_last_layer_stay_float32():
    trained = as_trained(build(RECIPE), "mixed_bfloat16")
    assert {str(weight.dtype) for weight in trained.weights} == {"float32"}
    assert trained.layers[-1].compute_dtype == "float32"
    assert trained.layers[0].compute_dtype == "bfloat16"


def test_a_network_without_normalisation_is_trained_as_it_is():
    model = build(replace(RECIPE, architecture="cnn_225k"))
    assert as_trained(model, "float32") is model
