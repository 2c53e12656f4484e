"""A run: one training with its folder, `runs/<id>/`.

config.json       recipe, seed, data hashes, split, commit, machine: all that is needed to repeat it
checkpoint.npz    where to go on after an interruption; removed once the training is done
history.json      loss and accuracy per epoch
training.json     what came out: seconds, parameters, accuracy on validation
events/           the history as TensorBoard reads it
model.keras       the weights (and model.h5 on request)
calibration.json  temperature and thresholds           written by `calibrate`
digits.onnx       the exported graph, with export.json  written by `export`
digits.tflite     for phones, with tflite.json          written by `export --formats tflite`
evaluation.json   metrics, latency.json and plots/      written by `evaluate`
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from training.errors import RecipeError, RunError
from training.recipe import Recipe

# Raised when a run's files change their meaning; a run of another format is refused.
FORMAT = 1

# A list of numbers as json.dumps indents it: one to a line, which nobody wants to read.
_NUMBERS = re.compile(r"\[[-+.\deE,\s]+\]")

_RECORDED = ("training", "history", "calibration", "export", "tflite", "latency", "evaluation")


# Networks that took part: the one that it started from, those that it learned from, those that it is made of.
OTHERS = ("initial", "teachers", "members")


@dataclass(frozen=True)
class Run:
    """A run folder; every file in it is written under another name first, so none is ever half there."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def model_path(self) -> Path:
        return self.folder / "model.keras"

    @property
    def onnx_path(self) -> Path:
        return self.folder / "digits.onnx"

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / "checkpoint.npz"

    @property
    def events_path(self) -> Path:
        return self.folder / "events"

    @classmethod
    def create(
        cls,
        root: Path,
        recipe: Recipe,
        seed: int,
        data: Mapping[str, Any],
        others: Mapping[str, Any] = MappingProxyType({}),
    ) -> "Run":
        """Make a new folder, named by architecture, seed and time, and write its config.

        `others` are the origins of networks that take part: `initial` where it starts from one, `teachers` and `members`.
        """
        now = datetime.now(UTC)
        name = f"{recipe.architecture}-seed{seed}-{now:%Y%m%d-%H%M%S}"
        run = cls(_new_folder(root, name))
        config = {
            "format": FORMAT,
            "created": now.isoformat(timespec="seconds"),
            "seed": seed,
            "recipe": recipe.to_json(),
            "data": dict(data),
            "git": git_state(),
            "machine": machine(),
        }
        run.write("config", config | {name: origin for name, origin in others.items() if origin})
        return run

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Open an existing run.

        Raises:
            RunError: there is no such folder, no config in it, or one of another format.
        """
        if not folder.is_dir():
            raise RunError(f"the run folder {folder} does not exist")
        run = cls(folder)
        found = run.read("config").get("format")
        if found != FORMAT:
            raise RunError(f"the run {folder} has the format {found}; this version reads format {FORMAT}")
        return run

    @property
    def recipe(self) -> Recipe:
        try:
            return Recipe.from_json(self.read("config")["recipe"])
        except (KeyError, TypeError, RecipeError) as exc:
            raise RunError(f"the recipe in {self.folder / 'config.json'} cannot be followed: {exc}") from exc

    @property
    def seed(self) -> int:
        return int(self.read("config")["seed"])

    def has(self, name: str) -> bool:
        return (self.folder / f"{name}.json").is_file()

    def read(self, name: str) -> dict[str, Any]:
        """Read `name`.json.

        Raises:
            RunError: it is missing or broken.
        """
        path = self.folder / f"{name}.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{path} is missing; {_remedy(name, self.folder)}") from None
        except (OSError, ValueError) as exc:
            raise RunError(f"{path} is no readable JSON file: {exc}") from exc
        if not isinstance(content, dict):
            raise RunError(f"{path} holds no JSON object")
        return content

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        write_json(self.folder / f"{name}.json", content)

    def record(self) -> dict[str, Any]:
        """All that is known of the run but its weights: small enough for the repository.

        Runs that its recipe names are told by their ids, wherever their folders were.
        """
        config = self.read("config")
        known = {name: self.read(name) for name in _RECORDED if self.has(name)}
        return {"id": self.id, **config, "recipe": without_folders(config["recipe"]), **known}

    @property
    def origin(self) -> dict[str, Any]:
        """How it came about: `run`, `recipe`, `seed`, `data`, and of other networks what OTHERS tell."""
        config = self.read("config")
        told = {"run": self.id, "recipe": without_folders(config["recipe"])}
        return told | {name: config[name] for name in ("seed", "data", *OTHERS) if name in config}


def without_folders(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with the runs that it names told by their ids alone."""
    told = dict(recipe)
    if told.get("teachers"):
        told["teachers"] = [Path(teacher).name for teacher in told["teachers"]]
    if told.get("init_from"):
        told["init_from"] = Path(told["init_from"]).name
    return told


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file at once or not at all.

    Raises:
        RunError: the disk is full or not writable.
    """
    text = _NUMBERS.sub(_on_one_line, json.dumps(content, indent=1, allow_nan=False))
    write_bytes(path, (text + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file at once or not at all, into a folder that may not be there yet.

    Raises:
        RunError: the disk is full or not writable.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise RunError(f"{path} cannot be written: {exc.strerror or exc}") from exc


def _on_one_line(numbers: re.Match[str]) -> str:
    return "[" + " ".join(numbers[0][1:-1].split()) + "]"


def git_state() -> dict[str, Any]:
    """Commit of the code, and whether it was changed since; both None outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain")
    return {"commit": commit or None, "dirty": None if changes is None else bool(changes)}


def machine() -> dict[str, Any]:
    """Processor and versions: what can make the last bits differ."""
    packages = ("keras", "tensorflow", "numpy", "tf2onnx", "onnx", "onnxruntime")
    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }


def _new_folder(root: Path, name: str) -> Path:
    for suffix in ("", *(f"-{number}" for number in range(2, 100))):
        folder = root / (name + suffix)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as exc:
            raise RunError(f"the run folder {folder} cannot be made: {exc.strerror or exc}") from exc
        return folder
    raise RunError(f"the folder {root} holds too many runs named {name}")


def _remedy(name: str, folder: Path) -> str:
    verb = {"calibration": "calibrate", "export": "export", "evaluation": "evaluate"}.get(name)
    return f"`python -m training {verb} {folder}` writes it" if verb else "is this the folder of a finished run?"


def _git(*arguments: str) -> str | None:
    here = Path(__file__).parent
    try:
        answer = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - whichever git the user has
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
