"""Where a network came from: told by its record alone, as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from training.__main__ import build_parser
from training.architectures import ARCHITECTURES
from training.origin import fine_tuning, part_of, source_of, training_command, training_commands
from training.recipe import Recipe
from training.release import model_card
from training.runs import OTHERS

MNIST = {"hashes": {"train-images-idx3-ubyte.gz": "0" * 64, "qmnist-train-labels-idx2-int.gz": "1" * 64}}
CELLS = {"hashes": {"pictures": "2" * 64}, "split": {"method": "stratified", "train": 810, "validation": 90}}


@pytest.fixture
def released() -> dict[str, Any]:
    """The record of the released model."""
    found: dict[str, Any] = json.loads((ROOT / "models" / "digits.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def record(released: dict[str, Any]) -> dict[str, Any]:
    """The same, as if it had been trained at once, from nothing and by no teachers."""
    training = {name: value for name, value in released["training"].items() if name not in OTHERS}
    return released | {"training": training | {"recipe": ARCHITECTURES["ours"].recipe.to_json()}}


@pytest.fixture
def fine_tuned(record: dict[str, Any]) -> dict[str, Any]:
    """As if the released model had been trained on, calibrated and measured on cells that people reviewed."""
    former = record["training"]
    initial = {key: former[key] for key in ("run", "recipe", "seed", "data")} | {"version": "0.4.0", "sha256": "3" * 64}
    recipe = fine_tuning(Recipe.from_json(former["recipe"]), Path("digits.onnx"), Recipe.from_json(former["recipe"]))
    training = former | {"recipe": recipe.to_json(), "seed": 5, "data": CELLS, "initial": initial}
    return record | {
        "training": training,
        "calibration": record["calibration"] | {"data": CELLS},
        "metrics": record["metrics"] | {"data": CELLS},
    }


@pytest.mark.parametrize(
    ("name", "told", "test"),
    [
        ("train-images-idx3-ubyte.gz", "MNIST", "the MNIST test set"),
        # Unpacked files are not checked: other data sets have files of the same names.
        ("train-images-idx3-ubyte", "`train-images-idx3-ubyte`", "the test part of `train-images-idx3-ubyte`"),
        ("emnist-digits-train-images-idx3-ubyte.gz", "EMNIST", "the test part of EMNIST"),
        ("pictures", "pictures sorted by label", "the test part of pictures sorted by label"),
        ("mnist.npz", "`mnist.npz`", "the test part of `mnist.npz`"),
    ],
)
def test_data_are_called_what_is_known_of_them(name: str, told: str, test: str) -> None:
    data = {"hashes": {name: "0" * 64}}
    assert (source_of(data), part_of(data, "test")) == (told, test)


@pytest.mark.parametrize(
    ("recipe", "data", "line"),
    [
        (ARCHITECTURES["ours"].recipe, MNIST, "train --architecture ours --seeds 1 2"),
        (
            ARCHITECTURES["ours"].recipe.changed(["epochs=8", "batches=taught_without_cells"]),
            CELLS,
            "train --architecture ours --data FOLDER --seeds 1 2 --set epochs=8 batches=taught_without_cells",
        ),
        (
            Recipe("lenet5", loss="categorical_crossentropy", teachers=("here/a", "b"), optimizer="sgd", momentum=0.9),
            {"hashes": {"train.csv": ""}},
            (
                "distil runs/a runs/b --student lenet5 --data train.csv --seeds 1 2 "
                "--set epochs=5 learning_rate=0.001 schedule=constant"
            ),
        ),
        (
            Recipe("lenet5", loss="categorical_crossentropy", teachers=("here/a", "b"), init_from="here/a"),
            MNIST,
            (
                "distil runs/a runs/b --student lenet5 --init-from runs/a --seeds 1 2 "
                "--set epochs=5 optimizer=adam learning_rate=0.001 schedule=constant momentum=0.0"
            ),
        ),
        (Recipe("ensemble", members=("a", "b"), init_from="c"), MNIST, "ensemble runs/a runs/b"),
        (Recipe("lenet5", members=("a",), init_from="b"), CELLS, "average --data FOLDER runs/a"),
    ],
)
def test_a_recipe_is_told_as_the_command_that_gives_it(recipe: Recipe, data: dict[str, Any], line: str) -> None:
    assert training_command(recipe, [1, 2], data) == line
    build_parser().parse_args(line.split())


def test_the_command_gives_the_very_recipe(fine_tuned: dict[str, Any]) -> None:
    [line] = training_commands(fine_tuned["training"])
    assert line == "train --init-from models/digits.onnx --data FOLDER --seed 5"
    # What a run started from is trained first, unless it is a released file.
    training = fine_tuned["training"]
    initial = {key: value for key, value in training["initial"].items() if key != "version"}
    plain = ARCHITECTURES["ours"].recipe
    recipe = fine_tuning(plain, Path("elsewhere", initial["run"]), plain).changed(["epochs=3"]).to_json()
    first, second = training_commands(training | {"initial": initial, "recipe": recipe})
    assert first.startswith(f"train --architecture ours --seed {initial['seed']}")
    assert second == f"train --init-from runs/{initial['run']} --data FOLDER --seed 5 --set epochs=3"


def test_a_student_is_told_with_its_teachers_which_are_trained_first(record: dict[str, Any]) -> None:
    teachers = [
        {"run": f"ours-seed{seed}", "recipe": ARCHITECTURES["ours"].recipe.to_json(), "seed": seed, "data": MNIST}
        for seed in (1, 2)
    ]
    recipe = ARCHITECTURES["ours"].recipe.changed(
        ["loss=categorical_crossentropy", "teachers=ours-seed1,ours-seed2", "init_from=ours-seed2", "epochs=5"]
    )
    training = record["training"] | {
        "recipe": recipe.to_json(),
        "seed": 2,
        "teachers": teachers,
        "initial": teachers[1],
    }
    assert training_commands(training) == [
        "train --architecture ours --seed 1",
        "train --architecture ours --seed 2",
        "distil runs/ours-seed1 runs/ours-seed2 --student ours --init-from runs/ours-seed2 --seed 2 --set epochs=5",
    ]
    own = {name: value for name, value in training.items() if name not in OTHERS}
    averaged = own | {"recipe": recipe.changed(["members=student"]).to_json(), "members": [training]}
    assert training_commands(averaged) == [*training_commands(training), "average runs/student"]
    teachers[1]["data"] = teachers[1]["data"] | {"split": training["data"]["split"]}
    card = model_card(record | {"training": training}, 1)
    assert (
        "what code makes of them and draws, with the answers of `ours-seed1` and `ours-seed2` beside the labels."
        in card
    )
    assert "It started from the weights of `ours-seed2`, which was trained on 54,006 digits" in card
    assert "averaged" not in card
    card = model_card(record | {"training": averaged}, 1)
    assert (
        "beside the labels, by `student`, with whose weights those that it started from are averaged. It started"
        in card
    )


def test_the_card_of_a_fine_tuned_network_claims_nothing_of_mnist_but_where_it_started(
    fine_tuned: dict[str, Any],
) -> None:
    card = model_card(fine_tuned, 1)
    assert "Trained on 810 digits of the training part of pictures sorted by label, and on what code makes" in card
    assert (
        f"It started from the weights of `digits` 0.4.0 (SHA-256 `{'3' * 64}`), which was trained on 54,006 digits of"
        in card
    )
    assert "were chosen on 90 digits, stratified by class, and" in card
    assert "| test part of pictures sorted by label, arrays | 10,000 |" in card
    assert f"| `pictures` | `{'2' * 64}` |" in card
    assert "MNIST test" not in card
    assert "../docs/plots" not in card
    assert "- MNIST's writers are" in card
    for line in (
        "train --init-from models/digits.onnx --data FOLDER --seed 5",
        "calibrate --data FOLDER RUN",
        "export --data FOLDER RUN",
        f"release --data FOLDER RUN --version {fine_tuned['version']}",
    ):
        assert f"\npython -m training {line}\n" in card
    assert "python -m training data\n" not in card


def test_the_card_tells_where_training_calibration_and_measurement_saw_different_data(
    fine_tuned: dict[str, Any], record: dict[str, Any]
) -> None:
    mnist = record["training"]["data"]
    fine_tuned["metrics"] = fine_tuned["metrics"] | {"data": mnist}
    card = model_card(fine_tuned, 1)
    assert "The test digits are the MNIST test set. They come from other files than those trained on" in card
    assert f"| `pictures` (trained on, calibrated on) | `{'2' * 64}` |" in card
    assert "| `train-images-idx3-ubyte.gz` (measured on) |" in card
    assert "python -m training calibrate --data FOLDER RUN\npython -m training export RUN\n" in card


def test_the_card_of_the_released_network_is_about_mnist(released: dict[str, Any]) -> None:
    """Its record may be of a version that named one source only."""
    card = model_card(released, 1)
    assert "digits of the MNIST training set" in card
    assert "The test set had no part in any choice." in card
    assert "| MNIST test, arrays |" in card
    assert "python -m training data\npython -m training train --architecture ours --seed " in card


@pytest.mark.parametrize(("batches", "told"), [("shuffled", "set."), ("moved", "set, moved about by code.")])
def test_the_card_does_not_boast_of_drawings(record: dict[str, Any], batches: str, told: str) -> None:
    record["training"]["recipe"]["batches"] = batches
    assert f"digits of the MNIST training {told}" in model_card(record, 1)


def test_help_tells_how_large_the_networks_are_that_it_trains(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["train", "--help"])
    told = capsys.readouterr().out
    assert "ours (244,635 parameters)" in told
    assert "cnn_225k (225,034 parameters)" in told
