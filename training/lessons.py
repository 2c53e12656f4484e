"""What students learned from their teachers: how many pictures each misreads, and how many all teachers together.

Together, teachers answer with their mean logits, which is what their students were taught.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.averaging import average_weights
from training.data import Dataset
from training.ensemble import average_networks
from training.errors import RunError
from training.handwriting import PictureSet
from training.ingredients import Material, misread
from training.network import load_keras_model
from training.runs import Run
from training.starting import load_initial

ALONE, TOGETHER, STUDENTS = "a teacher", "all teachers together", "a student"
AVERAGED = "a student averaged with where it started"


def measure(students: Sequence[Run], sets: Sequence[PictureSet], dataset: Dataset) -> dict[str, Any]:
    """Errors of each teacher, of all together and of each student, on held-out digits and on each set.

    Raises:
        RunError: a run has no teachers, or others than the first.
    """
    taught_by = {run.recipe.teachers for run in students}
    if len(taught_by) != 1 or not (teachers := taught_by.pop()):
        raise RunError("these runs did not learn from the same teachers; give those that `distil` trained together")
    material = Material.of(sets, dataset)
    networks = [load_keras_model(Run.open(Path(teacher)).model_path) for teacher in teachers]
    rows = {
        ALONE: [misread(network, material) for network in networks],
        TOGETHER: [misread(average_networks(networks), material)],
        STUDENTS: [misread(load_keras_model(run.model_path), material) for run in students],
    }
    if all(run.recipe.init_from for run in students):
        rows[AVERAGED] = [misread(_averaged(run), material) for run in students]
    return {
        "students": [run.id for run in students],
        "epochs": students[0].recipe.epochs,
        "teacher_pictures": students[0].recipe.teacher_pictures,
        "sets": material.sizes,
        "negatives": len(material.negatives),
        "rows": rows,
    }


def _averaged(run: Run) -> Any:
    model, start = load_keras_model(run.model_path), Path(run.recipe.init_from)
    average_weights(model, load_initial(start), start.name)
    return model


def table(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of what was measured: means, and from which to which the networks of a row go."""
    sets = figures["sets"]
    header = ["misread", *(f"{each['name']} ({each['n']:,})" for each in sets)]
    rows = []
    for name, networks in figures["rows"].items():
        columns = [*zip(*(each["errors"] for each in networks), strict=True), [each["passing"] for each in networks]]
        rows.append([f"{name} (of {len(networks)})" if len(networks) > 1 else name, *map(_in_words, columns)])
    return [*header, f"negatives that pass ({figures['negatives']:,})"], rows


def _in_words(counts: Sequence[int]) -> str:
    if len(counts) == 1:
        return str(counts[0])
    return f"{np.mean(counts):.1f} ({min(counts)} to {max(counts)})"
