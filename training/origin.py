"""Where a network came from: the data it saw, the network it started from, and the commands that make it again.

Told by what runs and released files say of themselves, so that nothing is claimed that was not so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.architectures import ARCHITECTURES
from training.data import EMNIST, MNIST_MD5, QMNIST_LABELS
from training.formats import HASH_OF_PICTURES
from training.recipe import Recipe

# A fine-tuned network must not forget what it knew.
FINE_TUNING_RATE = 0.1


def is_mnist(data: Mapping[str, Any]) -> bool:
    """Whether these are MNIST's published files: only packed ones were checked against their sums."""
    return bool(MNIST_MD5.keys() & data["hashes"].keys())


def source_of(data: Mapping[str, Any]) -> str:
    """What the digits are, in words: `MNIST`, or as much as is known."""
    names = [name for name in data["hashes"] if name != QMNIST_LABELS]
    if is_mnist(data):
        return "MNIST"
    if any(name.startswith(EMNIST[0]) for name in names):
        return "EMNIST"
    if HASH_OF_PICTURES in names:
        return "pictures sorted by label"
    return ", ".join(f"`{name}`" for name in names)


def part_of(data: Mapping[str, Any], part: str) -> str:
    """A part of the data, as a text names it: `the MNIST test set`."""
    return f"the MNIST {part} set" if is_mnist(data) else f"the {part} part of {source_of(data)}"


def part_in_short(data: Mapping[str, Any], part: str) -> str:
    """As `part_of`, as a table or a caption names it: `MNIST test`."""
    return f"MNIST {part}" if is_mnist(data) else f"{part} part of {source_of(data)}"


def fine_tuning(former: Recipe, init_from: Path, recipe: Recipe) -> Recipe:
    """How a finished network is trained on: by its own recipe or another, with a tenth of the learning rate."""
    return replace(
        recipe,
        init_from=str(init_from),
        learning_rate=recipe.learning_rate * FINE_TUNING_RATE,
        classes=former.classes,
        normalize=former.normalize,
        teachers=(),
        members=(),
    )


def is_averaged(recipe: Recipe) -> bool:
    """Whether it is one network, with the mean of a member's weights and of those that this one started from."""
    return bool(recipe.members) and recipe.architecture in ARCHITECTURES


def data_option(data: Mapping[str, Any]) -> str:
    """How a command is told where the data are; MNIST lies where `data` puts it."""
    names = list(data.get("hashes", ()))
    if not names or is_mnist(data):
        return ""
    return f" --data {names[0] if Path(names[0]).suffix in ('.npz', '.csv') else 'FOLDER'}"


def training_commands(training: Mapping[str, Any]) -> list[str]:
    """The verbs and their arguments that train a network again, those of other networks that took part first.

    Args:
        training: `recipe`, `seed`, `data` and, where there are any, `initial`, `teachers` and `members`, as a run's config
            holds them.
    """
    recipe, initial = Recipe.from_json(training["recipe"]), training.get("initial")
    started = [initial] if initial and "version" not in initial else []
    others = [*training.get("teachers", []), *started, *training.get("members", [])]
    before = [command for other in others for command in training_commands(other)]
    # Where it starts may be one of its teachers.
    return [*dict.fromkeys(before), training_command(recipe, [training["seed"]], training["data"], initial)]


def training_command(
    recipe: Recipe,
    seeds: Sequence[int],
    data: Mapping[str, Any],
    initial: Mapping[str, Any] | None = None,
    *,
    starts: Sequence[str] = (),
) -> str:
    """The verb and its arguments that train by this recipe; fields that the verb sets by itself are left out.

    `starts` are where the seeds start, if not all at the recipe's `init_from`: one for each seed.
    """
    source, told = data_option(data), f" --seed{'s' if len(seeds) > 1 else ''} {' '.join(map(str, seeds))}"
    if recipe.members:
        verb = "average" if is_averaged(recipe) else "ensemble"
        return f"{verb}{source} {' '.join(f'runs/{Path(member).name}' for member in recipe.members)}"
    known = ARCHITECTURES.get(recipe.architecture)
    default = known.recipe if known else Recipe(recipe.architecture)
    beginning = ""
    if recipe.init_from:
        path = "models" if initial and "version" in initial else "runs"
        beginning = f" --init-from {' '.join(f'{path}/{Path(start).name}' for start in starts or [recipe.init_from])}"
    if recipe.teachers:
        teachers = " ".join(f"runs/{Path(teacher).name}" for teacher in recipe.teachers)
        verb = f"distil {teachers} --student {recipe.architecture}{beginning}"
        default = replace(default, classes=recipe.classes, loss="categorical_crossentropy", teachers=recipe.teachers)
    elif recipe.init_from:
        former = Recipe.from_json(initial["recipe"]) if initial else default
        verb = f"train{beginning}"
        default = fine_tuning(former, Path(recipe.init_from), former)
    else:
        verb = f"train --architecture {recipe.architecture}"
    return verb + source + told + _settings(recipe, default)


def _settings(recipe: Recipe, default: Recipe) -> str:
    usual = default.to_json()
    changed = [
        f"{field}={','.join(value) if isinstance(value, tuple) else value}"
        for field, value in recipe.to_json().items()
        if field not in ("architecture", "init_from") and value != usual[field]
    ]
    return f" --set {' '.join(changed)}" if changed else ""
