import json

import pytest

from training.architectures import ARCHITECTURES
from training.errors import RecipeError
from training.recipe import Recipe


def test_a_recipe_survives_being_saved() -> None:
    recipe = Recipe("cnn_225k", classes=11, schedule="cosine", warmup=0.05, ema=0.999)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"epochs": 5}, "names no architecture"),
        ({"architecture": "a", "nesterov": 1}, "unknown recipe field 'nesterov'; known: architecture"),
        ({"architecture": "a", "optimizer": "adagrad"}, "optimizer is 'adagrad'; allowed: adam, adamw"),
        ({"architecture": "a", "classes": 12}, "classes is 12; allowed: 10, 11"),
        ({"architecture": "a", "epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"architecture": "a", "label_smoothing": 0.1}, "label_smoothing needs"),
        ({"architecture": "a", "teachers": ["runs/a"]}, "teachers needs"),
    ],
)
def test_a_recipe_that_cannot_be_followed_says_why(entries: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.from_json(entries)


def test_fields_are_set_by_text() -> None:
    recipe = Recipe("cnn_225k").changed(
        ["ema=0.99", "epochs=7", "loss=categorical_crossentropy", "teachers=runs/a,runs/b"]
    )
    assert (recipe.ema, recipe.epochs, recipe.teachers) == (0.99, 7, ("runs/a", "runs/b"))
    assert recipe.changed(["teachers="]).teachers == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [("epochs=many", "epochs is 'many', no int"), ("speed=1", "unknown recipe field 'speed'"), ("epochs", "no int")],
)
def test_a_text_that_sets_nothing_says_why(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe("cnn_225k").changed([text])


def test_the_default_recipe_is_the_one_of_the_literature() -> None:
    recipe = ARCHITECTURES["cnn_225k"].recipe
    assert (recipe.optimizer, recipe.loss) == ("adam", "sparse_categorical_crossentropy")
    assert (recipe.batch_size, recipe.epochs, recipe.learning_rate) == (128, 5, 1e-3)
