"""Seeds trained side by side end with the weights that they end with one after the other."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.digits import tiny_dataset
from training.recipe import Recipe
from training.side_by_side import train_side_by_side

pytest.importorskip("tensorflow")

from training.network import load_keras_model
from training.train import train_run

RECIPE = Recipe("cnn_225k", epochs=1, batch_size=32)


def test_each_seed_is_trained_as_it_is_alone(tmp_path):
    dataset = tiny_dataset(train=64, validation=20, test=10)
    runs = train_side_by_side(tmp_path, dataset, [(RECIPE, 3), (RECIPE, 4)], jobs=2)
    assert [run.seed for run in runs] == [3, 4]
    alone = train_run(tmp_path / "alone", dataset, RECIPE, 4)
    for together, one in zip(
        *(load_keras_model(run.model_path).get_weights() for run in (runs[1], alone)), strict=True
    ):
        # Another number of threads may sum in another order.
        assert np.allclose(together, one, atol=1e-5)


def test_what_cannot_be_trained_is_told(tmp_path):
    from training.errors import RecipeError

    dataset = tiny_dataset(train=64, validation=20, test=10)
    with pytest.raises(RecipeError, match="unknown source of batches 'none'"):
        train_side_by_side(tmp_path, dataset, [(replace(RECIPE, batches="none"), seed) for seed in (1, 2)], jobs=2)
