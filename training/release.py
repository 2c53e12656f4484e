"""Release: a run that is good enough -> models/digits.onnx, digits.json and README.md.

Everything is measured once more on the very file that is released: parity with the network, accuracy on the test
set, accuracy of uploads, the service's own check of the contract. Nothing is written unless all of it holds.
"""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from training.data import Dataset, sha256
from training.errors import ReleaseError, RunError
from training.evaluate import evaluate, evaluate_uploads, load_classifier
from training.export import NAME, check_parity, metadata, write_metadata
from training.network import load_keras_model
from training.origin import (
    data_option,
    is_averaged,
    is_mnist,
    part_in_short,
    part_of,
    source_of,
    training_commands,
)
from training.recipe import Recipe
from training.runs import Run, write_json

MINIMUM_ACCURACY = 0.985
MAX_UPLOAD_LOSS = 0.001
MAX_BYTES = 1_000_000
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_REJECT_LIMITS = {
    10: "`reject` is always 0: this network was not taught what is no digit, and the ten probabilities say nothing "
    "about a picture that is none.",
    11: "`reject` was taught with pictures that code drew. Letters that look like digits (O, I, l, S, Z, B) are read as "
    "digits.",
}
# The figures that the page links to are of MNIST's test digits.
_WORTH = """\
What the thresholds are worth on MNIST test, on photos and on what is no digit: [accuracy](../docs/accuracy.md).

![Error among the accepted against their share, on MNIST test](../docs/plots/risk-coverage.png)

![Stated confidence and share of right answers, MNIST test](../docs/plots/reliability-clean.png)

![How often each confidence is given on MNIST test, to right answers and to wrong ones](../docs/plots/confidences.png)"""
_WORTH_ELSEWHERE = "What the thresholds are worth on the test digits is measured by `python -m training decisions`."
_WRITERS = """\
- MNIST's writers are American census staff and students of the 1990s; other habits (a 1 with a long upstroke, a crossed 7)
  are rarer in it than in the world.
"""
_TEMPLATE = Path(__file__).with_name("model_card.md")


def release_run(
    run: Run, dataset: Dataset, version: str, folder: Path, *, minimum_accuracy: float = MINIMUM_ACCURACY
) -> dict[str, Any]:
    """Put an exported run into a folder of released models.

    Raises:
        ReleaseError: the version is none, or the artifact is less accurate than asked, or larger than 1 MB.
        ExportError: the artifact does not answer as the network does.
        RunError: the run lacks something, or its artifact is not what the contract describes.
    """
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"the version {version!r} is not of the form 1.2.3")
    if sha256(_exported(run)) != run.read("export")["sha256"]:
        raise ReleaseError(f"{run.onnx_path} was changed since it was exported; export it again")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="release-") as scratch:
        candidate = Path(scratch) / "digits.onnx"
        _stamp(run, candidate, version, {})
        if (size := candidate.stat().st_size) > MAX_BYTES:
            raise ReleaseError(f"the exported file has {size} bytes; a released one has at most {MAX_BYTES}")
        metrics = _measure(run, candidate, dataset)
        _check(metrics, minimum_accuracy)
        _stamp(run, candidate, version, metrics)
        record = metadata(run, version, metrics) | {"sha256": load_classifier(candidate).record.sha256}
        card = model_card(record, candidate.stat().st_size)
        write_json(folder / "digits.json", record)
        (folder / "README.md").write_text(card, encoding="utf-8")
        candidate.replace(folder / "digits.onnx")
    return record


def model_card(record: Mapping[str, Any], size: int) -> str:
    """The model card, Markdown: every number in it comes from the record."""
    training, metrics = record["training"], record["metrics"]
    recipe, trained = training["recipe"], training["data"]
    # Records of former versions name one source for all three.
    calibrated, measured = record["calibration"].get("data", trained), metrics.get("data", trained)
    sources = {"trained on": trained, "calibrated on": calibrated, "measured on": measured}
    values = {
        **{key: record[key] for key in ("version", "sha256", "architecture", "preprocessing_version")},
        "size": f"{size:,}",
        "parameters": f"{training['parameters']:,}",
        "trained": _trained_in_words(training),
        "calibrated": _held_out_in_words(calibrated, trained),
        "measured": _measured_in_words(measured, trained),
        "test_set": part_of(measured, "test"),
        "recipe": _recipe_in_words(recipe),
        "seed": training["seed"],
        "commit": training["git"]["commit"] or "unknown",
        "metrics": _metrics_table(metrics, measured),
        "per_class": _class_table(metrics["test"]["per_class"]),
        "parity": _parity_in_words(metrics["parity"]),
        "temperature": f"{record['calibration']['temperature']:.3f}",
        "scores": _scores_table(record["calibration"]),
        "doubt": _doubt_in_words(record),
        "thresholds": _threshold_table(record["thresholds"]),
        "reject_limit": _REJECT_LIMITS[recipe["classes"]],
        "hashes": _hash_table(sources),
        "worth": _WORTH if is_mnist(measured) else _WORTH_ELSEWHERE,
        "writers": "" if not _has_mnist(training) else _WRITERS,
        "commands": "\n".join(_commands(record, sources)),
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _exported(run: Run) -> Path:
    if not run.onnx_path.is_file():
        raise RunError(f"{run.onnx_path} is missing; `python -m training export {run.folder}` writes it")
    return run.onnx_path


def _stamp(run: Run, path: Path, version: str, metrics: Mapping[str, Any]) -> None:
    import onnx

    graph = onnx.load(run.onnx_path)
    write_metadata(graph, metadata(run, version, metrics))
    path.write_bytes(graph.SerializeToString())


def _measure(run: Run, candidate: Path, dataset: Dataset) -> dict[str, Any]:
    model, classifier = load_keras_model(run.model_path), load_classifier(candidate)
    temperature = run.read("calibration")["temperature"]
    classifier.warm_up()
    validation = evaluate(classifier.predict, dataset.validation)
    return {
        "data": dataset.origin,
        "test": evaluate(classifier.predict, dataset.test),
        "uploads": evaluate_uploads(classifier, dataset.test),
        "validation": {key: validation[key] for key in ("n", "errors", "accuracy", "interval", "nll", "brier")},
        "parity": check_parity(model, temperature, candidate, dataset.test),
    }


def _check(metrics: Mapping[str, Any], minimum_accuracy: float) -> None:
    arrays, uploads = metrics["test"]["accuracy"], metrics["uploads"]["accuracy"]
    if arrays < minimum_accuracy:
        raise ReleaseError(f"the accuracy on the test set is {arrays:.4f}; at least {minimum_accuracy:.4f} is asked")
    if uploads < arrays - MAX_UPLOAD_LOSS:
        raise ReleaseError(
            f"as uploads the test set is read with {uploads:.4f}, as arrays with {arrays:.4f}; "
            f"at most {MAX_UPLOAD_LOSS} may be lost"
        )


def _trained_in_words(training: Mapping[str, Any]) -> str:
    """On how many digits of what, as they were or how changed, and from which weights."""
    batches, data = training["recipe"].get("batches", ""), training["data"]
    added = ""
    if batches.startswith("taught"):
        added = ", and on what code makes of them and draws"
    elif batches != "shuffled":
        added = ", moved about by code"
    told = f"{data['split']['train']:,} digits of {part_of(data, 'training')}{added}"
    averaged = is_averaged(recipe := Recipe.from_json(training["recipe"]))
    if averaged:
        training = training["members"][0]
    if names := [f"`{teacher['run']}`" for teacher in training.get("teachers", ())]:
        told += f", with the answers of {' and '.join(names)} beside the labels"
    if averaged:
        told += f", by `{recipe.members[0]}`, with whose weights those that it started from are averaged"
    initial = training.get("initial")
    if not initial:
        return f"{told}."
    name = (
        f"`{NAME}` {initial['version']} (SHA-256 `{initial['sha256']}`)"
        if "version" in initial
        else f"`{initial['run']}`"
    )
    return f"{told}. It started from the weights of {name}, which was trained on {_trained_in_words(initial)}"


def _held_out_in_words(data: Mapping[str, Any], trained: Mapping[str, Any]) -> str:
    split = data["split"]
    if split["method"] == "by writer":
        writers = f"{split['validation_writers']} of {split['writers']} writers"
        told = f"{split['validation']:,} digits of {writers}, none of whom is in the training part"
    else:
        told = f"{split['validation']:,} digits, stratified by class"
    return told if data["hashes"] == trained["hashes"] else f"{told}, held out of {source_of(data)}"


def _measured_in_words(data: Mapping[str, Any], trained: Mapping[str, Any]) -> str:
    if data["hashes"] == trained["hashes"]:
        return "The test set had no part in any choice."
    return (
        f"The test digits are {part_of(data, 'test')}. They come from other files than those trained on; that none of them "
        "was trained on holds only as far as these files share no picture."
    )


def _hash_table(sources: Mapping[str, Mapping[str, Any]]) -> str:
    """The files of all sources, each with what it was used for where that differs."""
    used: dict[tuple[str, str], list[str]] = {}
    for use, data in sources.items():
        for entry in data["hashes"].items():
            used.setdefault(entry, []).append(use)
    told = {entry: "" if len(uses) == len(sources) else f" ({', '.join(uses)})" for entry, uses in used.items()}
    return "\n".join(f"| `{name}`{uses} | `{value}` |" for (name, value), uses in told.items())


def _has_mnist(training: Mapping[str, Any]) -> bool:
    """Whether MNIST is among what the network, or one that it started from, was trained on."""
    others = [*training.get("members", ()), *([training["initial"]] if "initial" in training else [])]
    return is_mnist(training["data"]) or any(_has_mnist(other) for other in others)


def _commands(record: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What to type to get this very model, where the data are the same."""
    training = [f"python -m training {line}" for line in training_commands(record["training"])]
    calibrated, measured = (data_option(sources[name]) for name in ("calibrated on", "measured on"))
    downloaded = any(" --data " not in line for line in training) or not (calibrated and measured)
    return [
        *(["python -m training data"] if downloaded else []),
        *training,
        f"python -m training calibrate{calibrated} RUN",
        f"python -m training export{measured} RUN",
        f"python -m training release{measured} RUN --version {record['version']}",
        f"python -m training decisions{measured} --record docs/figures --photos FOLDER --negatives FOLDER",
        "python -m training report",
    ]


def _recipe_in_words(recipe: Mapping[str, Any]) -> str:
    """What differs from nothing: fields that are empty or 0, and those of absent teachers, are left out."""
    told = {key: value for key, value in recipe.items() if value and key != "architecture"}
    if "teachers" not in told:
        told = {key: value for key, value in told.items() if not key.startswith("teacher")}
    return ", ".join(f"{key} {value}" for key, value in told.items())


def _metrics_table(metrics: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    test = part_in_short(data, "test")
    names = {
        "test": f"{test}, arrays",
        "uploads": f"{test}, as PNG uploads through the service",
        "validation": "validation",
    }
    return "\n".join(_metrics_row(title, metrics[name]) for name, title in names.items())


def _metrics_row(title: str, scores: Mapping[str, Any]) -> str:
    low, high = scores["interval"]
    fits = f"{scores['nll']:.4f} | {scores['brier']:.4f}" if "nll" in scores else "- | -"
    return f"| {title} | {scores['n']:,} | {scores['accuracy']:.2%} | {low:.2%} to {high:.2%} | {fits} |"


def _class_table(rows: list[Mapping[str, Any]]) -> str:
    return "\n".join(
        f"| {row['digit']} | {row['n']:,} | {row['precision']:.4f} | {row['recall']:.4f} | {row['f1']:.4f} |"
        for row in rows
    )


def _threshold_table(thresholds: Mapping[str, Mapping[str, Any] | None]) -> str:
    return "\n".join(
        f"| {float(target):.1%} | {entry['accept_at']:.6f} | {entry['coverage']:.2%} "
        f"| {entry['error']:.3%} | {entry['error_upper']:.3%} | {entry['n']:,} |"
        if entry
        else f"| {float(target):.1%} | none keeps the promise: nothing is accepted | - | - | - | - |"
        for target, entry in thresholds.items()
    )


def _scores_table(calibration: Mapping[str, Any]) -> str:
    """One row for each part of what was calibrated on."""
    names = ("nll_before", "nll_after", "brier_before", "brier_after")
    return "\n".join(
        f"| {part} | {calibration['mixture'][part]:,} | {' | '.join(f'{scores[name]:.4f}' for name in names)} |"
        for part, scores in calibration["scores"].items()
    )


def _doubt_in_words(record: Mapping[str, Any]) -> str:
    doubt = record["calibration"]["doubt"]
    shares = ", ".join(f"{share:.2%} of {part}" for part, share in doubt["digits"].items())
    return (
        f"A reading whose `reject` is {record['doubt_at']:.4f} or more is not accepted: that is {shares} digits, and all but "
        f"{doubt['negatives_passed']:.2%} of {doubt['negatives']:,} drawn negatives."
    )


def _parity_in_words(parity: Mapping[str, Any]) -> str:
    return (
        f"{parity['changed_labels']} of {parity['n']:,} labels changed, "
        f"largest difference of a probability {parity['max_difference']:.1e}"
    )
