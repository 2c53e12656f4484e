"""Teachers answer through onnxruntime what their networks answer through Keras."""

from pathlib import Path

import numpy as np
import pytest

from training.recipe import Recipe

pytest.importorskip("tensorflow")

from training.architectures import build
from training.network import predict_logits, save_model
from training.runs import Run
from training.teachers import load_teachers, mean_logits


@pytest.mark.parametrize("classes", [10, 11])
def test_their_mean_logits_are_those_of_the_networks(tmp_path: Path, classes: int) -> None:
    recipe = Recipe("lenet5", classes=classes)
    models = [build(recipe) for _ in range(2)]
    runs = [Run.create(tmp_path, recipe, seed, {}) for seed in range(2)]
    for run, model in zip(runs, models, strict=True):
        save_model(model, run.model_path)
    folders = tuple(str(run.folder) for run in runs)
    teachers = load_teachers(Recipe("mlp", classes, loss="categorical_crossentropy", teachers=folders))
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    told = mean_logits(teachers, images)
    assert told.shape == (40, classes)
    assert told.dtype == np.float32
    assert np.abs(told - np.mean([predict_logits(model, images) for model in models], axis=0)).max() < 1e-4
