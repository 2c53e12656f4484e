"""What each ingredient of the training of our own network is worth: short trainings that each lack one.

All have the same seed and number of epochs, far fewer than the released network has: they tell what an ingredient is
for, not how well the whole reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import ServiceError
from training.architectures import ARCHITECTURES
from training.data import Dataset
from training.errors import RunError
from training.handwriting import PictureSet
from training.negatives import HELD_OUT, make_negatives
from training.network import apply_temperature, load_keras_model, predict_logits
from training.normalised import normalise_as_served
from training.runs import Run
from training.train import train_run

ARCHITECTURE = "ours"
WHOLE = "all ingredients"
# What is told of negatives: how many pass where this share of the digits is rejected.
REJECTED_DIGITS = 0.01
NEGATIVES, NEGATIVES_SEED = 1000, 11

# Each ingredient, and the recipe without it.
LEFT_OUT: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        WHOLE: {},
        "without digits drawn by strokes": {"batches": "taught_without_drawn"},
        "without cells of forms": {"batches": "taught_without_cells"},
        "without digits scanned again": {"batches": "taught_without_rescanned"},
        "without negatives": {"batches": "taught_without_negatives"},
        "MNIST alone": {"batches": "taught_mnist_alone"},
        "without rotation, scale, shear and shift": {"batches": "taught_without_affine"},
        "without elastic distortion": {"batches": "taught_without_elastic"},
        "without thicker and thinner strokes": {"batches": "taught_without_weight"},
        "without noise, blur, erasing and ruling": {"batches": "taught_without_effects"},
        "without a gentle end": {"batches": "taught_without_gentle_end"},
        "without averaged weights": {"ema": 0.0},
    }
)


def train_all(root: Path, dataset: Dataset, epochs: int, seed: int) -> dict[str, Run]:
    """A finished run for each of LEFT_OUT, by its name; those that `root` holds already are not trained again."""
    whole = replace(ARCHITECTURES[ARCHITECTURE].recipe, epochs=epochs)
    recipes = {name: replace(whole, **changes) for name, changes in LEFT_OUT.items()}
    done = _finished(root, seed, dataset)
    return {
        name: next((run for run in done if run.recipe == recipe), None) or train_run(root, dataset, recipe, seed)
        for name, recipe in recipes.items()
    }


def _finished(root: Path, seed: int, dataset: Dataset) -> list[Run]:
    runs = [Run(folder) for folder in sorted(root.glob(f"{ARCHITECTURE}-seed{seed}-*"))]
    return [run for run in runs if run.has("training") and run.read("config")["data"]["hashes"] == dict(dataset.hashes)]


@dataclass(frozen=True)
class Material:
    """What networks are measured on: sets of images uint8 `[N, 28, 28]` with labels, by name, and what is no digit."""

    images: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]
    digits: NDArray[np.uint8]
    negatives: NDArray[np.uint8]

    @classmethod
    def of(cls, sets: Sequence[PictureSet], dataset: Dataset) -> "Material":
        """The digits held out, each set as the service brings it to the network, and families that are never trained on.

        Raises:
            RunError: one of a set is no picture.
        """
        digits = dataset.validation
        images = {"MNIST validation": (digits.images, digits.labels)}
        images |= {pictures.name: (normalise_all(pictures.pictures), pictures.labels) for pictures in sets}
        negatives, _ = make_negatives(
            NEGATIVES, (digits.images, digits.labels), np.random.default_rng(NEGATIVES_SEED), HELD_OUT
        )
        return cls(images, digits.images, negatives)

    @property
    def sizes(self) -> list[dict[str, Any]]:
        return [{"name": name, "n": len(labels)} for name, (_, labels) in self.images.items()]


def measure(runs: Mapping[str, Run], sets: Sequence[PictureSet], dataset: Dataset) -> dict[str, Any]:
    """How many digits each run misreads, of MNIST's that were held out and of each set, and how many negatives pass."""
    material = Material.of(sets, dataset)
    whole = runs[WHOLE]
    return {
        "parameters": whole.read("training")["parameters"],
        "epochs": whole.recipe.epochs,
        "seed": whole.seed,
        "sets": material.sizes,
        "negatives": len(material.negatives),
        "rows": {name: misread(load_keras_model(run.model_path), material) for name, run in runs.items()},
    }


def misread(model: Any, material: Material) -> dict[str, Any]:
    """`errors` of each set, and how many negatives are `passing`."""
    wrong = [
        int((predict_logits(model, images)[:, :10].argmax(axis=1) != labels).sum())
        for images, labels in material.images.values()
    ]
    limit = np.quantile(_reject(model, material.digits), 1 - REJECTED_DIGITS)
    return {"errors": wrong, "passing": int((_reject(model, material.negatives) <= limit).sum())}


def _reject(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return apply_temperature(predict_logits(model, images), 1.0)[1]


def normalise_all(pictures: Sequence[bytes]) -> NDArray[np.uint8]:
    """Pictures as the service brings them to the network, uint8 `[N, 28, 28]`; black where it finds no ink.

    Raises:
        RunError: one of them is no picture.
    """
    digits = np.zeros((len(pictures), 28, 28), np.uint8)
    for index, picture in enumerate(pictures):
        try:
            found = normalise_as_served(picture)
        except ServiceError as error:
            raise RunError(f"picture {index} cannot be read: {error}") from error
        if found is not None:
            digits[index] = found
    return digits
