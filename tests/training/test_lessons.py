"""What students learned from their teachers is measured on the same pictures, and told in the report."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests import pictures
from tests.training.digits import tiny_dataset
from training import ingredients, lessons
from training.__main__ import main
from training.blocks import Table
from training.errors import RunError
from training.handwriting import PictureSet
from training.recipe import Recipe
from training.report import Material
from training.report import lessons as told

RECIPE = Recipe("lenet5", classes=11, epochs=1, batch_size=32)


def test_teachers_alone_and_together_and_their_students_are_measured(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    from training.train import train_run

    monkeypatch.setattr(ingredients, "NEGATIVES", 20)
    dataset = tiny_dataset(train=64, validation=50, test=10)
    teachers = [train_run(tmp_path, dataset, RECIPE, seed) for seed in (1, 2)]
    names = tuple(str(run.folder) for run in teachers)
    student = replace(RECIPE, loss="categorical_crossentropy", teachers=names)
    starting = replace(student, init_from=names[0])
    students = [train_run(tmp_path, dataset, starting, seed) for seed in (3, 4, 5)]
    sevens = PictureSet("sevens", [pictures.png(7)] * 3, np.full(3, 7, np.uint8), [""] * 3)
    figures = json.loads(json.dumps(lessons.measure(students, [sevens], dataset)))
    assert {name: len(row) for name, row in figures["rows"].items()} == {
        lessons.ALONE: 2,
        lessons.TOGETHER: 1,
        lessons.STUDENTS: 3,
        lessons.AVERAGED: 3,
    }
    afresh = lessons.measure([train_run(tmp_path, dataset, student, 6)], [], dataset)
    assert list(afresh["rows"]) == [lessons.ALONE, lessons.TOGETHER, lessons.STUDENTS]
    for network in (network for row in figures["rows"].values() for network in row):
        assert 0 <= network["errors"][0] <= 50
        assert network["errors"][1] in (0, 3), "equal pictures are read alike"
        assert 0 <= network["passing"] <= 20
    section = told(Material([], tmp_path, tmp_path, {"lessons": figures}))
    table = next(block for block in section.blocks if isinstance(block, Table))
    assert table.header == ["misread", "MNIST validation (50)", "sevens (3)", "negatives that pass (20)"]
    assert [row[0] for row in table.rows] == [
        "a teacher (of 2)",
        "all teachers together",
        "a student (of 3)",
        "a student averaged with where it started (of 3)",
    ]
    assert "beside the labels for 1 epochs" in section.blocks[0].text
    of_made = told(Material([], tmp_path, tmp_path, {"lessons": figures | {"teacher_pictures": "made"}}))
    assert "beside the labels, but of MNIST's digits the labels alone, for 1 epochs" in of_made.blocks[0].text
    with pytest.raises(RunError, match="did not learn from the same teachers"):
        lessons.measure([*students, teachers[0]], [], dataset)
    with pytest.raises(RunError, match="did not learn from the same teachers"):
        lessons.measure(teachers, [], dataset)


def test_several_networks_are_told_by_their_mean_and_their_range():
    row = [{"errors": [count], "passing": 1} for count in (3, 8)]
    figures = {"sets": [{"name": "sevens", "n": 1000}], "negatives": 5, "rows": {"a student": row}}
    assert lessons.table(figures)[1] == [["a student (of 2)", "5.5 (3 to 8)", "1.0 (1 to 1)"]]


def test_a_run_that_is_none_is_named(tmp_path, capsys):
    assert main(["lessons", str(tmp_path / "none")]) == 2
    assert "none does not exist" in capsys.readouterr().err
