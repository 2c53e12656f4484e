"""Short trainings that each lack an ingredient are made once, measured, and told in the report."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests import pictures
from tests.training.digits import tiny_dataset
from training import curriculum, ingredients
from training.architectures import ARCHITECTURES
from training.blocks import Table
from training.curriculum import SOURCES
from training.errors import RunError
from training.report import Material
from training.report import ingredients as told


def test_each_ingredient_is_one_that_the_recipe_knows():
    whole = ARCHITECTURES["ours"].recipe
    for name, changes in ingredients.LEFT_OUT.items():
        recipe = replace(whole, **changes)
        assert recipe.batches in SOURCES
        assert (recipe == whole) == (name == ingredients.WHOLE)
    named = {changes.get("batches") for changes in ingredients.LEFT_OUT.values()}
    assert set(SOURCES) - named == {"taught", "taught_mostly_mnist"}


def test_runs_are_trained_once_measured_and_told(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    dataset = tiny_dataset(train=128, validation=50, test=10)
    stock = curriculum.make_stock(dataset.train, 40)
    monkeypatch.setattr(curriculum, "make_stock", lambda *_: stock)
    monkeypatch.setattr(ingredients, "NEGATIVES", 20)
    chosen = [ingredients.WHOLE, "without negatives", "without averaged weights"]
    monkeypatch.setattr(ingredients, "LEFT_OUT", {name: ingredients.LEFT_OUT[name] for name in chosen})
    runs = ingredients.train_all(tmp_path, dataset, 1, 3)
    assert [run.recipe.batches for run in runs.values()] == ["taught", "taught_without_negatives", "taught"]
    assert runs["without averaged weights"].recipe.ema == 0
    assert ingredients.train_all(tmp_path, dataset, 1, 3) == runs, "finished ones are taken again"
    sevens = ingredients.PictureSet("sevens", [pictures.png(7)] * 3, np.full(3, 7, np.uint8), [""] * 3)
    figures = json.loads(json.dumps(ingredients.measure(runs, [sevens], dataset)))
    assert [each["n"] for each in figures["sets"]] == [50, 3]
    for row in figures["rows"].values():
        assert 0 <= row["errors"][0] <= 50
        assert row["errors"][1] in (0, 3), "equal pictures are read alike"
        assert 0 <= row["passing"] <= 20
    section = told(Material([], tmp_path, tmp_path, {"ingredients": figures}))
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == chosen
    assert table.header[1] == "MNIST validation (50)"


def test_what_is_no_picture_is_named():
    assert not ingredients.normalise_all([pictures.blank()]).any()
    with pytest.raises(RunError, match="picture 1 cannot be read"):
        ingredients.normalise_all([pictures.png(3), b"no picture"])
