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
