"""The commands that give the figures of the report again, from what its records say of themselves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from training.baselines import BASELINES
from training.compare import Record, name_of
from training.origin import data_option, is_averaged, training_command
from training.recipe import Recipe

_FIGURES = "--record docs/figures"


def lines(records: Sequence[Record], figures: Mapping[str, Any]) -> list[str]:
    """One command a line, in an order that works."""
    networks = [record for record in records if record["recipe"]["architecture"] not in BASELINES]
    data = data_option(records[0].get("data", {}))
    told = [
        "data",
        *_trainings(networks),
        f"calibrate{data} RUN...                    # all runs at once",
        f"export{data} RUN                          # each run",
        *_tflite(networks, data),
        f"evaluate{data} --record docs/runs RUN...  # all runs",
        *_baselines(records, data),
        f"compare{data} --time",
        *_release(figures, data),
        *(line.replace("DATA", data) for name, line in _measurements(figures).items() if name in figures),
        f"evaluate{data} --uploads models/digits.onnx",
        "report",
    ]
    return [f"python -m training {line}" for line in told]


def _trainings(records: Sequence[Record]) -> list[str]:
    """The seeds of one recipe in one command; networks that others start from, learn from or consist of come first."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(json.dumps([name_of(record), record.get("data")], sort_keys=True), []).append(record)
    known = {record.get("id"): record for record in records}
    found = sorted(groups.values(), key=lambda group: max(_generation(record, known) for record in group))
    return [_training(sorted(group, key=lambda record: int(record["seed"]))) for group in found]


def _generation(record: Record, known: Mapping[Any, Record]) -> int:
    """How many networks one after the other had to be made before this one."""
    recipe = Recipe.from_json(record["recipe"])
    before = [known.get(name) for name in (*recipe.teachers, *recipe.members, recipe.init_from)]
    return max((1 + _generation(each, known) for each in before if each), default=0)


def _training(group: Sequence[Record]) -> str:
    first = group[0]
    recipe = Recipe.from_json(first["recipe"])
    starts = [str(record["recipe"].get("init_from", "")) for record in group]
    seeds = [record["seed"] for record in group]
    if is_averaged(recipe):
        recipe = replace(recipe, members=tuple(member for record in group for member in record["recipe"]["members"]))
    told = starts if len(set(starts)) > 1 else starts[:1]
    return training_command(recipe, seeds, first.get("data", {}), first.get("initial"), starts=told)


def _tflite(records: Sequence[Record], data: str) -> list[str]:
    names = sorted({record["recipe"]["architecture"] for record in records if "tflite" in record})
    return [f"export{data} RUN --formats tflite         # each run of {', '.join(names)}"] if names else []


def _baselines(records: Sequence[Record], data: str) -> list[str]:
    names = sorted({record["recipe"]["architecture"] for record in records} & BASELINES.keys())
    return [f"baselines{data} {' '.join(names)} --record docs/runs"] if names else []


def _release(figures: Mapping[str, Any], data: str) -> list[str]:
    """The digit network, and the column network that is calibrated with it."""
    models = [found["model"] for found in figures.values() if "model" in found]
    told = []
    if models:
        run = next((model["run"] for model in models if "run" in model), "RUN")
        told.append(f"release{data} runs/{run} --version {models[0]['version']}")
    if "fields" in figures:
        version = figures["fields"]["columns"]["version"]
        told.append(f"columns{data} --release models/columns.onnx --version {version}")
    return told


def _measurements(figures: Mapping[str, Any]) -> dict[str, str]:
    """The command of each file of figures; DATA stands for where the digits are."""
    ablated = max((each["n"] for each in figures.get("ablation", {}).get("sets", [])), default=0)
    beside = " --beside runs/RUN/digits.onnx" * (len(figures.get("handwriting", {}).get("corruptions", "-")) - 1)
    left_out = figures.get("ingredients", {})
    students = " ".join(f"runs/{run}" for run in figures.get("lessons", {}).get("students", []))
    return {
        "handwriting": f"handwritingDATA {_FIGURES} models/digits.onnx SET...{beside}",
        "ablation": f"ablate {_FIGURES} --per-set {ablated} models/digits.onnx SET...",
        "ingredients": f"ingredientsDATA {_FIGURES} --epochs {left_out.get('epochs')} --seed {left_out.get('seed')} SET...",
        "lessons": f"lessonsDATA {_FIGURES} {students} --sets SET...",
        "decisions": f"decisionsDATA {_FIGURES} --photos FOLDER --negatives FOLDER",
        "fields": f"stringsDATA {_FIGURES} --sequences FOLDER models/digits.onnx",
    }
