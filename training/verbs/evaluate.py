from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from training import evaluate
from training.data import Dataset, Digits
from training.latency import measure_latency
from training.runs import Run, write_json
from training.verbs.common import RECORDS, Arguments, add_source, add_verb, load

_TEXT = """\
measure how well models read digits

Accuracy with its 95 % interval, precision, recall and F1 by class, confusion matrix, calibration, log-likelihood and
Brier score, the pairs that are confused, size, and time per digit of an exported graph. A run keeps all of it in
evaluation.json, and in plots/ as pictures: confusions, the most confident mistakes, the surest and the least sure of
each digit, stated confidence against hits, the history, and occlusion maps that show which part of a digit decided.
Several models are also told with mean and spread."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "evaluate", _run, _TEXT)
    add_source(parser)
    parser.add_argument(
        "models", type=Path, nargs="+", metavar="MODEL", help="run folders, or .keras, .h5 or .onnx files"
    )
    parser.add_argument("--part", choices=("validation", "test"), default="test", help="which digits (default: test)")
    parser.add_argument(
        "--uploads",
        action="store_true",
        help="also encode each digit as a PNG and read it as the service reads an upload; needs an exported graph",
    )
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER", help=f"write <run id>.json without weights, such as into {RECORDS}"
    )
    parser.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="where pictures go (default: plots/ of a run, none for a file)"
    )


def _run(arguments: Arguments) -> None:
    dataset = load(arguments)
    accuracies = [_evaluate_one(path, dataset, arguments)["accuracy"] for path in arguments.models]
    if len(accuracies) > 1:
        print(f"mean {mean(accuracies):.4%}, standard deviation {stdev(accuracies):.4%} of {len(accuracies)} models")


def _evaluate_one(path: Path, dataset: Dataset, arguments: Arguments) -> dict[str, Any]:
    digits = dataset.part(arguments.part)
    predict = evaluate.load_predict(path)
    probabilities, reject = predict(digits.images)
    scores = evaluate.measure(probabilities, digits) | {"mean_reject": float(reject.mean())}
    graph = Run.open(path).onnx_path if path.is_dir() else path
    if arguments.uploads:
        scores["uploads"] = evaluate.evaluate_uploads(evaluate.load_classifier(graph), digits)
    cost = _cost(graph, digits)
    _print(path, arguments.part, scores | cost)
    folder = arguments.plots or (path / "plots" if path.is_dir() else None)
    if folder:
        _draw(predict, digits, probabilities, scores, folder, arguments.part)
    if path.is_dir():
        _keep(Run.open(path), arguments, scores, cost)
    return scores


def _cost(graph: Path, digits: Digits) -> dict[str, Any]:
    """Size and time of an exported graph; of other files the size."""
    if not graph.is_file():
        return {}
    if graph.suffix != ".onnx":
        return {"bytes": graph.stat().st_size}
    return {"bytes": graph.stat().st_size, "latency": measure_latency({"it": graph}, digits.images)["it"]}


def _keep(run: Run, arguments: Arguments, scores: dict[str, Any], cost: dict[str, Any]) -> None:
    from training import plots

    kept = run.read("evaluation") if run.has("evaluation") else {}
    run.write("evaluation", kept | {arguments.part: scores})
    if "latency" in cost:
        run.write("latency", cost["latency"])
    if run.has("history") and (epochs := run.read("history")["epochs"]):
        plots.plot_history(epochs, (arguments.plots or run.folder / "plots") / "history.png")
    if arguments.record:
        write_json(arguments.record / f"{run.id}.json", run.record())


def _draw(predict: Any, digits: Digits, probabilities: Any, scores: dict[str, Any], folder: Path, part: str) -> None:
    from training import plots
    from training.occlusion import occlusion_map

    plots.plot_confusion(scores["confusion"], folder / f"confusion-{part}.png")
    plots.plot_mistakes(digits, probabilities, folder / f"mistakes-{part}.png")
    plots.plot_reliability(scores["calibration"]["bins"], folder / f"reliability-{part}.png")
    for digit in range(10):
        plots.plot_gallery(digits, probabilities, digit, folder / f"digit{digit}-{part}.png")
    first = [int(np.flatnonzero(digits.labels == label)[0]) for label in np.unique(digits.labels)]
    maps = np.stack([occlusion_map(predict, digits.images[index]) for index in first])
    titles = [f"{probabilities[index].argmax()}  {probabilities[index].max():.3f}" for index in first]
    plots.plot_occlusion(digits.images[first], maps, titles, folder / f"occlusion-{part}.png")


def _print(path: Path, part: str, scores: dict[str, Any]) -> None:
    low, high = scores["interval"]
    print(
        f"{path} on {part}: {scores['accuracy']:.4%} of {scores['n']} ({low:.2%} to {high:.2%}), "
        f"NLL {scores['nll']:.4f}, calibration error {scores['calibration']['ece']:.4f}"
    )
    for row in scores["per_class"]:
        print(
            f"  {row['digit']}: precision {row['precision']:.4f}, recall {row['recall']:.4f}, F1 {row['f1']:.4f}, n {row['n']}"
        )
    pairs = ", ".join(f"{pair['first']} and {pair['second']} ({pair['n']})" for pair in scores["confused"][:5])
    print(f"  most often confused: {pairs or 'none'}")
    if uploads := scores.get("uploads"):
        print(f"  as PNG uploads: {uploads['accuracy']:.4%} of {uploads['n']}, decisions {uploads['decisions']}")
    if latency := scores.get("latency"):
        print(
            f"  {scores['bytes']:,} bytes, {latency['1']:.0f} us a digit alone, {latency['16']:.0f} us in a batch of 16"
        )
