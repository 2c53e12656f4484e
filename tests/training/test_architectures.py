import numpy as np
import pytest

from training.architectures import ARCHITECTURES, build, find_architecture
from training.errors import RecipeError
from training.recipe import Recipe


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_has_its_parameters_and_answers_with_logits(name: str) -> None:
    model = build(Recipe(name))
    assert model.count_params() == ARCHITECTURES[name].parameters
    assert np.asarray(model(np.zeros((3, 28, 28, 1), np.float32))).shape == (3, 10)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_takes_a_class_for_no_digit(name: str) -> None:
    assert build(Recipe(name, classes=11)).output_shape == (None, 11)


def test_the_first_network_has_the_layers_of_the_literature() -> None:
    model = build(Recipe("cnn_225k"))
    names = [type(layer).__name__ for layer in model.layers]
    assert names == ["Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Flatten", "Dropout", "Dense", "Dense"]
    assert model.count_params() == 225_034


def test_an_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(RecipeError, match=r"unknown architecture 'resnet'; known: .*cnn_225k"):
        find_architecture("resnet")


# As the seed literature states them.
STATED = {"cnn_225k": 225_034, "cnn_32_64_dense256": 2_380_938, "cnn_32_64_64_dense64": 93_322, "cnn_887k": 887_530}


@pytest.mark.parametrize(("name", "parameters"), STATED.items())
def test_the_networks_of_the_seed_literature_have_exactly_their_parameters(name: str, parameters: int) -> None:
    assert build(Recipe(name)).count_params() == parameters


def test_the_recipes_are_those_of_the_seed_literature() -> None:
    recipes = {name: ARCHITECTURES[name].recipe for name in STATED}
    wide, narrow, moved = (recipes[name] for name in ("cnn_32_64_dense256", "cnn_32_64_64_dense64", "cnn_887k"))
    assert (wide.validation_share, wide.epochs) == (0.3, 10)
    assert (narrow.batch_size, narrow.epochs, narrow.loss) == (64, 5, "categorical_crossentropy")
    assert (moved.optimizer, moved.batches, moved.plateau > 0, moved.epochs >= 15) == ("rmsprop", "moved", True, True)


@pytest.mark.parametrize("name", ["cnn_225k", "residual"])
def test_columns_are_normalized_as_keras_does_it(name: str) -> None:
    from training.backend import keras

    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1)).astype(np.float32)
    images[:, :, 5] = 0
    model = build(Recipe(name, normalize="columns"))
    seen = np.asarray(model.get_layer("columns")(images / 255))
    assert np.abs(seen - keras.utils.normalize(images, axis=1)).max() < 1e-6
    assert not seen[:, :, 5].any()
    assert model.count_params() == ARCHITECTURES[name].parameters
