"""A recipe: everything that decides how a network is trained, but the seed and the data. Saved beside each result."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from training.errors import RecipeError

Loss = Literal["sparse_categorical_crossentropy", "categorical_crossentropy"]
Schedule = Literal["constant", "cosine"]
Normalize = Literal["scale", "columns"]
Precision = Literal["float32", "mixed_bfloat16"]
TeacherPictures = Literal["all", "made"]

_CHOICES = {
    "loss": ("sparse_categorical_crossentropy", "categorical_crossentropy"),
    "schedule": ("constant", "cosine"),
    "normalize": ("scale", "columns"),
    "optimizer": ("adam", "adamw", "rmsprop", "sgd"),
    "classes": (10, 11),
    "precision": ("float32", "mixed_bfloat16"),
    "teacher_pictures": ("all", "made"),
}


@dataclass(frozen=True)
class Recipe:
    """How to train one network.

    `classes` is 10, or 11 where the eleventh stands for "no digit". `batches` names the source of training batches
    in `training.train.BATCHES`. `warmup` is the share of all steps in which the learning rate rises linearly;
    `cosine` then lets it fall to a hundredth of its peak. `ema` is the decay per step of the averaged weights that
    are kept at the end, 0 for none. `teachers` are run folders whose mean logits the network also learns from, with
    weight `teacher_weight` at `teacher_temperature`; of `all` pictures, or of those that were `made` by code, where those
    of the data set are learned from their labels alone (`teacher_pictures`).

    `normalize` is `scale` for pixels in 0..1, or `columns` to bring each column of each image to length 1 as well, as
    `keras.utils.normalize(x, axis=1)` does. `validation_share` is the share of the training digits to hold out, 0
    for the data set's own. `early_stopping` is the number of epochs without a lower validation loss after which
    training ends with the weights of the best epoch; `plateau` that without a higher validation accuracy after which
    the learning rate is multiplied by `plateau_factor`, down to `plateau_floor`; 0 for never. `init_from` is a run
    folder or a released file to take the weights from. `members` are the runs that an ensemble averages, or the one whose
    weights were averaged with those of `init_from`; such a run is not trained itself.
    `precision` is that of activations in training; weights are always float32.
    """

    architecture: str
    classes: int = 10
    epochs: int = 5
    batch_size: int = 128
    batches: str = "shuffled"
    loss: Loss = "sparse_categorical_crossentropy"
    label_smoothing: float = 0.0
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup: float = 0.0
    ema: float = 0.0
    teachers: tuple[str, ...] = ()
    teacher_weight: float = 0.9
    teacher_temperature: float = 4.0
    teacher_pictures: TeacherPictures = "all"
    momentum: float = 0.0
    normalize: Normalize = "scale"
    validation_share: float = 0.0
    early_stopping: int = 0
    plateau: int = 0
    plateau_factor: float = 0.5
    plateau_floor: float = 1e-5
    init_from: str = ""
    members: tuple[str, ...] = ()
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for field, allowed in _CHOICES.items():
            if getattr(self, field) not in allowed:
                raise RecipeError(f"recipe field {field} is {getattr(self, field)!r}; allowed: {_listed(allowed)}")
        for field in ("epochs", "batch_size"):
            if getattr(self, field) < 1:
                raise RecipeError(f"recipe field {field} is {getattr(self, field)}; it must be at least 1")
        for field in ("label_smoothing", "teachers"):
            if getattr(self, field) and self.loss == "sparse_categorical_crossentropy":
                raise RecipeError(f"{field} needs loss 'categorical_crossentropy'")
        if not 0 <= self.validation_share <= 0.9:
            raise RecipeError(f"recipe field validation_share is {self.validation_share}; allowed: 0 to 0.9")
        if self.plateau and self.schedule != "constant":
            raise RecipeError("plateau needs schedule 'constant': two cannot steer one learning rate")

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, entries: Mapping[str, Any]) -> "Recipe":
        """Rebuild a saved recipe.

        Raises:
            RecipeError: an entry is unknown, missing or not allowed.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(entries) - known):
            raise RecipeError(f"unknown recipe field {unknown[0]!r}; known: {_listed(sorted(known))}")
        if "architecture" not in entries:
            raise RecipeError("the recipe names no architecture")
        listed = {field: tuple(entries.get(field, ())) for field in ("teachers", "members")}
        return cls(**{**entries, **listed})

    def changed(self, assignments: Sequence[str]) -> "Recipe":
        """The recipe with fields set anew, each by a text `field=value`.

        Raises:
            RecipeError: no such field, or a value of another type.
        """
        entries = self.to_json()
        for assignment in assignments:
            field, _, text = assignment.partition("=")
            if field not in entries:
                raise RecipeError(f"unknown recipe field {field!r}; known: {_listed(sorted(entries))}")
            entries[field] = _parsed(field, text, type(entries[field]))
        return Recipe.from_json(entries)


def _parsed(field: str, text: str, kind: type[Any]) -> Any:
    if kind is tuple:
        return tuple(name for name in text.split(",") if name)
    try:
        return kind(text)
    except ValueError:
        raise RecipeError(f"recipe field {field} is {text!r}, no {kind.__name__}") from None


def _listed(values: Any) -> str:
    return ", ".join(str(value) for value in values)
