"""How to make the figures again: told by the records, in commands that the command line takes."""

import json
import re
import shlex
from typing import Any

from tests.conftest import ROOT
from tests.training.test_compare import record
from training.__main__ import build_parser
from training.architectures import ARCHITECTURES
from training.compare import read_records
from training.repeating import lines
from training.report import read_figures

RECORDED = {"ablation": "ablate", "decisions": "decisions", "fields": "strings", "handwriting": "handwriting"}


def told(records: list[dict[str, Any]], **figures: Any) -> list[str]:
    found = lines(records, figures)
    for line in found:
        build_parser().parse_args(shlex.split(line, comments=True)[3:])
    return [line.removeprefix("python -m training ") for line in found]


def test_what_is_published_is_told_with_its_seeds_and_its_verbs() -> None:
    records, figures = read_records(ROOT / "docs" / "runs"), read_figures(ROOT / "docs" / "figures")
    found = told(records, **figures)
    for architecture in {each["recipe"]["architecture"] for each in records} & ARCHITECTURES.keys():
        seeds = {str(each["seed"]) for each in records if each["recipe"]["architecture"] == architecture}
        named = [line for line in found if line.startswith(f"train --architecture {architecture} ")]
        assert {seed for line in named for seed in re.search(r" --seeds? ([\d ]+)", line)[1].split()} == seeds
    for name, verb in RECORDED.items():
        assert any(line.startswith(f"{verb} --record docs/figures ") for line in found) == (name in figures)
    assert f"columns --release models/columns.onnx --version {figures['fields']['columns']['version']}" in found
    assert "evaluate --uploads models/digits.onnx" in found


def test_only_what_was_measured_is_told_networks_that_others_need_first() -> None:
    teacher = record("lenet5", 4, [1]) | {"tflite": {}}
    student = record("mlp", 0, [2], teachers=["lenet5-seed4"], loss="categorical_crossentropy")
    both = record("ensemble", 0, [3], members=["lenet5-seed4", "mlp-seed0"])
    found = told([both, student, teacher, record("knn", 0, [5])], ingredients={"epochs": 8, "seed": 3})
    assert found[1].startswith("train --architecture lenet5 --seed 4")
    assert found[2].startswith("distil runs/lenet5-seed4 --student mlp --seed 0")
    assert found[3] == "ensemble runs/lenet5-seed4 runs/mlp-seed0"
    assert "baselines knn --record docs/runs" in found
    assert any(line.startswith("export RUN --formats tflite") and line.endswith("lenet5") for line in found)
    assert "ingredients --record docs/figures --epochs 8 --seed 3 SET..." in found
    assert not any(line.startswith(("strings", "columns", "decisions", "release")) for line in found)


def test_students_that_start_at_their_teachers_are_told_in_one_command() -> None:
    names = ["lenet5-seed1", "lenet5-seed2"]
    students = [
        record("lenet5", seed, [2], teachers=names, loss="categorical_crossentropy", init_from=f"lenet5-seed{seed}")
        | {"initial": {"run": f"lenet5-seed{seed}"}}
        for seed in (2, 1)
    ]
    for student in students:
        student["id"] = f"student{student['seed']}"
    averages = [
        student | {"id": f"mean{student['seed']}", "recipe": {**student["recipe"], "members": [student["id"]]}}
        for student in students
    ]
    later = [
        record("lenet5", seed, [3], epochs=3, init_from=f"mean{seed}") | {"id": f"later{seed}", "initial": mean}
        for seed, mean in zip((2, 1), averages, strict=True)
    ]
    found = told([*later, *averages, *students], lessons={"students": ["lenet5-seed1-later"]})
    assert found[2] == "average runs/student1 runs/student2"
    assert found[3].startswith("train --init-from runs/mean1 runs/mean2 --seeds 1 2 --set")
    assert found[1].startswith(
        "distil runs/lenet5-seed1 runs/lenet5-seed2 --student lenet5 --init-from runs/lenet5-seed1 runs/lenet5-seed2 --seeds 1 2"
    )
    assert "lessons --record docs/figures runs/lenet5-seed1-later --sets SET..." in found


def test_other_data_are_named() -> None:
    found = told([record("lenet5", 0, [1]) | {"data": {"hashes": {"emnist.npz": "0"}}}])
    assert "compare --data emnist.npz --time" in found
    assert found[1].startswith("train --architecture lenet5 --data emnist.npz --seed 0")


def test_each_section_names_the_file_that_it_was_measured_with() -> None:
    """Version and hash: two files may have been released as one version."""
    from training import decided, numbers

    figures = {path.stem: json.loads(path.read_text()) for path in (ROOT / "docs" / "figures").glob("*.json")}
    for section, name in (
        (decided.photos, "decisions"),
        (decided.no_digits, "decisions"),
        (numbers.several_digits, "fields"),
    ):
        model = figures[name]["model"]
        assert f"{model['version']} (sha256 {model['sha256'][:12]}...)" in section(figures[name]).blocks[0].text
