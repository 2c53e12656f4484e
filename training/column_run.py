"""Training the column network: strings made once, kept in the run's folder; steps on random rows of them; a file.

    runs/columns-.../  config.json       steps, seed, data hashes, split, commit, machine
                       strings/NNN.npz   rows of strips with targets, each from its own seed
                       checkpoint.npz    where to go on after an interruption
                       history.json      loss and mistakes on validation strings
                       model.weights.h5, columns.onnx, calibration.json

Every part depends on seed and place alone, so that an interrupted training goes on as if it had run through.
"""

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decisions import FIELD_FEATURES
from service.fields import PAPER, STRIP_VERSION, ColumnReader
from training.columns import OPEN, build_columns, convert, make_examples, pack
from training.data import Dataset, Digits
from training.errors import ExportError, RunError
from training.export import write_metadata
from training.runs import git_state, machine, write_bytes, write_json
from training.strings import Pool

NAME = "columns"
ROW = 512
SHARD = 2000
VALIDATION_SHARDS, VALIDATION_ROWS = 1, 160
KEEP_EVERY = 200
WARM_UP = 200
MAX_BYTES = 1_000_000
MAX_DIFFERENCE = 1e-4

# Neither accepts nor promises anything: what a network has before `strings --calibrate`.
UNCALIBRATED: dict[str, Any] = {
    "bias": 0.0,
    "weights": [0.0] * FIELD_FEATURES,
    "0.01": None,
    "0.005": None,
    "0.001": None,
}


@dataclass(frozen=True)
class ColumnRecipe:
    """How much of what: `strings` of training digits, `steps` of `rows` packed rows each.

    `init_from` is a finished run whose weights it starts from, empty for none.
    """

    strings: int = 80_000
    steps: int = 5_000
    rows: int = 16
    learning_rate: float = 2.5e-3
    weight_decay: float = 1e-4
    seed: int = 1
    mixed: bool = True  # bfloat16 where the processor has it
    init_from: str = ""


def start(root: Path, dataset: Dataset, recipe: ColumnRecipe) -> Path:
    """Make the folder of a new run and write its config; returns the folder.

    Raises:
        RunError: the run that it should start from is not finished.
    """
    folder = root / f"{NAME}-seed{recipe.seed}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if recipe.init_from:
        _weights(Path(recipe.init_from))
    config = {
        "recipe": asdict(recipe),
        "data": {"hashes": dict(dataset.hashes), "split": dict(dataset.split)},
        "git": git_state(),
        "machine": machine(),
    }
    write_json(folder / "config.json", config)
    return folder


def train(folder: Path, dataset: Dataset) -> Path:
    """Train, or go on training, the run in a folder; returns its columns.onnx.

    Raises:
        RunError: it is no run of a column network, or was started on other data.
        ExportError: the graph does not answer as the network does.
    """
    config = read_config(folder)
    recipe = ColumnRecipe(**config["recipe"])
    if config["data"]["hashes"] != dict(dataset.hashes):
        raise RunError(f"the run {folder} was started on other data files than these")
    _make_strings(folder, dataset, recipe)
    trainer = ColumnTrainer(folder, recipe)
    trainer.run()
    return export(folder)


def read_config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        ColumnRecipe(**config["recipe"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise RunError(f"{folder} is no run of a column network") from exc
    return config


# --- strings ----------------------------------------------------------------------------------------------------------


def _make_strings(folder: Path, dataset: Dataset, recipe: ColumnRecipe) -> None:
    """Write what is missing of the strings, by as many processes as there are cores."""
    (folder / "strings").mkdir(exist_ok=True)
    shards = [("validation", index, dataset.validation) for index in range(VALIDATION_SHARDS)]
    shards += [("train", index, dataset.train) for index in range(-(-recipe.strings // SHARD))]
    missing = [shard for shard in shards if not _shard(folder, *shard[:2]).exists()]
    if not missing:
        return
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as processes:
        jobs = [
            processes.submit(_write_shard, _shard(folder, part, index), digits, [recipe.seed, len(part), index])
            for part, index, digits in missing
        ]
        for count, job in enumerate(jobs, start=1):
            print(f"strings: {count} of {len(jobs)} parts, {job.result()} of {SHARD} kept", flush=True)


def _shard(folder: Path, part: str, index: int) -> Path:
    return folder / "strings" / f"{part}{index:03}.npz"


def _write_shard(path: Path, digits: Digits, seed: Sequence[int]) -> int:
    examples = make_examples(SHARD, Pool(digits), np.random.default_rng(seed))
    pixels, targets = pack(examples, ROW)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, pixels=pixels, targets=targets)
    part.replace(path)
    return len(examples)


def _read_shards(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    pixels, targets = [], []
    for path in sorted((folder / "strings").glob(f"{part}???.npz")):
        with np.load(path) as arrays:
            pixels.append(arrays["pixels"])
            targets.append(arrays["targets"])
    return np.concatenate(pixels), np.concatenate(targets)


# --- training ---------------------------------------------------------------------------------------------------------


class ColumnTrainer:
    """A column network on its way: weights, optimizer, history."""

    def __init__(self, folder: Path, recipe: ColumnRecipe) -> None:
        from training.backend import keras, seed_everything

        seed_everything(recipe.seed)
        keras.mixed_precision.set_global_policy("mixed_bfloat16" if recipe.mixed else "float32")
        self.folder, self.recipe = folder, recipe
        self.history: list[dict[str, float]] = []
        self.model = build_columns()
        if recipe.init_from:
            self.model.load_weights(_weights(Path(recipe.init_from)))
        self.model.compile(optimizer=_optimizer(recipe), loss=_loss, jit_compile=False)
        self.model.optimizer.build(self.model.trainable_variables)
        keras.mixed_precision.set_global_policy("float32")

    def run(self) -> None:
        """Train to the last step, from the checkpoint where there is one."""
        self._restore()
        pixels, targets = _read_shards(self.folder, "train")
        held_out = _read_shards(self.folder, "validation")
        started, loss = time.perf_counter(), 0.0
        for step in range(self.step, self.recipe.steps):
            rng = np.random.default_rng([self.recipe.seed, 0, step])
            chosen = rng.integers(0, len(pixels), self.recipe.rows)
            value = float(self.model.train_on_batch(_vary(pixels[chosen], rng), targets[chosen][:, None].astype(int)))
            loss = value if loss == 0.0 else 0.98 * loss + 0.02 * value
            if (step + 1) % KEEP_EVERY == 0 or step + 1 == self.recipe.steps:
                entry = {
                    "step": step + 1,
                    "loss": loss,
                    "mistakes": self._mistakes(held_out[0][:VALIDATION_ROWS], held_out[1][:VALIDATION_ROWS]),
                }
                self.history.append(entry | {"seconds": round(time.perf_counter() - started, 1)})
                self._save()
                print(", ".join(f"{name} {value:.4g}" for name, value in self.history[-1].items()), flush=True)
        self.model.save_weights(self.folder / "model.weights.h5")

    @property
    def step(self) -> int:
        return int(np.asarray(self.model.optimizer.iterations))

    def _mistakes(self, pixels: NDArray[np.uint8], targets: NDArray[np.int8]) -> float:
        """Digits misread, left out or too many, as part of all, in rows of validation strings."""
        logits = np.concatenate([self._answer(pixels[start : start + 32]) for start in range(0, len(pixels), 32)])
        expected = [collapse(row[row != OPEN]) for row in targets]
        found = [collapse(row) for row in logits.argmax(axis=-1)]
        mistakes = sum(edit_distance(a, b) for a, b in zip(expected, found, strict=True))
        return mistakes / sum(map(len, expected))

    def _answer(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(self.model.predict_on_batch(_to_input(pixels)), np.float32)[:, 0]

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _save(self) -> None:
        path = self.folder / "checkpoint.npz"
        part = path.with_name("checkpoint.part.npz")
        arrays = {f"state{index:04}": np.asarray(variable) for index, variable in enumerate(self._variables())}
        np.savez(part, history=np.array(json.dumps(self.history)), allow_pickle=False, **arrays)
        part.replace(path)
        write_json(self.folder / "history.json", {"steps": self.history})

    def _restore(self) -> None:
        path = self.folder / "checkpoint.npz"
        if not path.exists():
            return
        with np.load(path, allow_pickle=False) as arrays:
            self.history = json.loads(str(arrays["history"]))
            for index, variable in enumerate(self._variables()):
                variable.assign(arrays[f"state{index:04}"])


def _optimizer(recipe: ColumnRecipe) -> Any:
    from training.backend import keras

    warm_up = min(WARM_UP, recipe.steps // 4)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, max(recipe.steps - warm_up, 1), alpha=0.01, warmup_target=recipe.learning_rate, warmup_steps=warm_up
    )
    return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)


def _loss(targets: Any, logits: Any) -> Any:
    """Mean cross-entropy of the frames whose target is not left open."""
    from training.backend import keras

    ops = keras.ops
    known = ops.cast(targets >= 0, "float32")
    losses = keras.losses.sparse_categorical_crossentropy(
        ops.maximum(targets, 0), ops.cast(logits, "float32"), from_logits=True
    )
    return ops.sum(losses * known) / ops.sum(known)


def _to_input(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels[..., np.newaxis].astype(np.float32) / np.float32(255)


def _vary(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """Rows a pixel higher or lower, fainter or stronger, some noisy."""
    rows = np.roll(_to_input(pixels), rng.integers(-1, 2), axis=1)
    rows *= rng.uniform(0.75, 1.25, (len(rows), 1, 1, 1)).astype(np.float32)
    noisy = rng.random(len(rows)) < 0.3
    rows[noisy] += rng.normal(0, rng.uniform(0, 0.12), rows[noisy].shape).astype(np.float32)
    return rows.clip(0, 1)


def collapse(frames: NDArray[Any]) -> list[int]:
    """The digits of a row: runs of equal frames, without paper."""
    starts = np.flatnonzero(np.diff(frames, prepend=PAPER))
    return [int(frames[start]) for start in starts if frames[start] != PAPER]


def edit_distance(expected: Sequence[int], found: Sequence[int]) -> int:
    """Least number of digits changed, left out and added (V. Levenshtein, 1966)."""
    row = list(range(len(found) + 1))
    for index, digit in enumerate(expected, start=1):
        before, row = row, [index]
        for place, other in enumerate(found, start=1):
            row.append(min(before[place] + 1, row[-1] + 1, before[place - 1] + (digit != other)))
    return row[-1]


# --- file -------------------------------------------------------------------------------------------------------------


def export(folder: Path) -> Path:
    """Write the run's columns.onnx, with its calibration where it has one, and check it against the network.

    Raises:
        RunError: the run is not finished.
        ExportError: the graph does not answer as the network does, or is too large.
    """
    from training.backend import keras

    model = build_columns()
    model.load_weights(_weights(folder))
    path = folder / "columns.onnx"
    graph = convert(model)
    write_metadata(graph, _record(folder))
    write_bytes(path, graph.SerializeToString())
    rows = _read_shards(folder, "validation")[0][:8]
    expected = np.asarray(keras.ops.log_softmax(model(_to_input(rows), training=False)))[:, 0]
    found = ColumnReader.load(path).log_probabilities(rows)
    if not (difference := float(np.abs(found - expected).max())) <= MAX_DIFFERENCE:
        raise ExportError(f"the graph does not answer as the network: log probabilities differ by {difference:.2g}")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ExportError(f"the exported file has {size} bytes; at most {MAX_BYTES} are allowed")
    return path


def _weights(folder: Path) -> Path:
    """Those of a finished run."""
    path = folder / "model.weights.h5"
    if not path.is_file():
        raise RunError(f"{path} is missing; `python -m training columns --resume {folder}` goes on with the run")
    return path


def _record(folder: Path) -> dict[str, Any]:
    calibration = folder / "calibration.json"
    return {
        "name": NAME,
        "version": "0.0.0",
        "strip_version": STRIP_VERSION,
        "calibration": json.loads(calibration.read_text(encoding="utf-8")) if calibration.exists() else UNCALIBRATED,
        "training": _training(folder),
        "metrics": {},
    }


def _training(folder: Path) -> dict[str, Any]:
    config = read_config(folder)
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))["steps"]
    packages = config["machine"]["packages"]
    # Of the run that it began from the name is told, not where it lay.
    config["recipe"]["init_from"] = Path(config["recipe"].get("init_from", "")).name
    return {name: config[name] for name in ("recipe", "data", "git")} | {"packages": packages, "result": history[-1]}
