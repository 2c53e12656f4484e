"""The command line: `python -m training VERB --help`."""

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median_low, stdev
from typing import Any

from training import data
from training.architectures import ARCHITECTURES, find_architecture
from training.errors import TrainingError
from training.runs import Run, write_json

_DESCRIPTION = """\
From MNIST to a released model, step by step:

  data       download MNIST, checked against its published MD5 sums
  train      train a network; everything about it goes into runs/<id>/
  evaluate   accuracy, per-class scores, confusion matrix, as JSON and plots
  calibrate  fit the temperature and the thresholds on validation digits
  export     write the network as ONNX and check that it answers the same
  release    put a run into models/, with its record and model card

Each verb explains itself: python -m training VERB --help
"""

Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 if it did its work, 2 with a line on stderr if it could not, 130 if interrupted."""
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run_verb(arguments)
    except TrainingError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; `python -m training train --resume RUN` goes on with an unfinished run", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB", help="one of the above")
    _add_data(verbs)
    _add_train(verbs)
    _add_evaluate(verbs)
    _add_calibrate(verbs)
    _add_export(verbs)
    _add_release(verbs)
    return parser


def _verb(verbs: Any, name: str, run: Callable[[Arguments], None], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run_verb=run)
    return parser


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("DIGITS_DATA_DIR", "data")),
        metavar="PATH",
        help="folder with MNIST's four .gz files, or one .npz as Keras has it (default: $DIGITS_DATA_DIR, else data)",
    )
    writers = os.environ.get("DIGITS_QMNIST_DIR")
    parser.add_argument(
        "--writers",
        type=Path,
        default=Path(writers) if writers else None,
        metavar="PATH",
        help=f"{data.QMNIST_LABELS} or its folder, for a validation split by writer "
        "(default: $DIGITS_QMNIST_DIR, else beside the images)",
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a run folder, such as runs/cnn_225k-seed0-20260101-120000"
    )


def _add_data(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "data",
        _run_data,
        "download MNIST from its public mirrors\n\n"
        "Files that are there and right are left alone; a download that was cut goes on where it stopped. QMNIST's\n"
        "label file comes along: it tells who wrote each digit, so that validation can be split by writer.",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(os.environ.get("DIGITS_DATA_DIR", "data")),
        help="where to put the files (default: $DIGITS_DATA_DIR, else data)",
    )


def _run_data(arguments: Arguments) -> None:
    from training.download import download_mnist

    print("\n".join(download_mnist(arguments.folder)))


def _add_train(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "train",
        _run_train,
        "train a network on MNIST\n\n"
        "Each architecture comes with its recipe: optimizer, batch size, epochs. A run goes to runs/<id>/ with its\n"
        "config, weights, history, data hashes and commit. With several seeds, several runs are trained and their\n"
        "spread on validation is told. An interrupted run goes on with --resume and ends with the same weights.\n\n"
        "architectures and their recipes:\n" + "\n".join(_recipe_lines()),
    )
    _add_source(parser)
    parser.add_argument("--architecture", default="cnn_225k", metavar="NAME", help="which network (default: cnn_225k)")
    parser.add_argument(
        "--seeds", "--seed", type=int, nargs="+", default=[0], metavar="SEED", help="one run each (default: 0)"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the recipe's number")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="FIELD=VALUE", help="other fields of the recipe, such as ema=0.999"
    )
    parser.add_argument("--h5", action="store_true", help="save model.h5 too, for older Keras")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="where runs go (default: runs)"
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with this interrupted run; its recipe counts")


def _recipe_lines() -> list[str]:
    lines = []
    for name, architecture in ARCHITECTURES.items():
        fields = [
            f"{field}={value}" for field, value in architecture.recipe.to_json().items() if field != "architecture"
        ]
        lines.append(f"  {name} ({architecture.parameters:,} parameters)")
        lines += textwrap.wrap(" ".join(fields), 100, initial_indent="    ", subsequent_indent="    ")
    return lines


def _run_train(arguments: Arguments) -> None:
    from dataclasses import replace

    recipe = find_architecture(arguments.architecture).recipe
    recipe = recipe.changed(arguments.set)
    if arguments.epochs is not None:
        recipe = replace(recipe, epochs=arguments.epochs)
    dataset = _load(arguments)

    from training.train import resume_run, train_run

    if arguments.resume:
        runs = [resume_run(arguments.resume, dataset, h5=arguments.h5)]
    else:
        runs = [train_run(arguments.runs, dataset, recipe, seed, h5=arguments.h5) for seed in arguments.seeds]
    _print_validation(runs)


def _print_validation(runs: Sequence[Run]) -> None:
    accuracies = [run.read("training")["validation"]["accuracy"] for run in runs]
    for run, accuracy in zip(runs, accuracies, strict=True):
        print(f"{run.folder}: {accuracy:.4%} on validation")
    if len(runs) > 1:
        middle = runs[accuracies.index(median_low(accuracies))]
        print(
            f"mean {mean(accuracies):.4%}, standard deviation {stdev(accuracies):.4%}; the median run is {middle.folder}"
        )


def _add_evaluate(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "evaluate",
        _run_evaluate,
        "measure how well models read digits\n\n"
        "Accuracy with its 95 % interval, precision, recall and F1 by class, confusion matrix, log-likelihood and Brier\n"
        "score. A run keeps them in evaluation.json and plots/. Several models are also told with mean and spread.",
    )
    _add_source(parser)
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
        "--record", type=Path, metavar="FOLDER", help="write <run id>.json for the repository, without weights"
    )


def _run_evaluate(arguments: Arguments) -> None:
    dataset = _load(arguments)
    accuracies = [_evaluate_one(path, dataset, arguments)["accuracy"] for path in arguments.models]
    if len(accuracies) > 1:
        print(f"mean {mean(accuracies):.4%}, standard deviation {stdev(accuracies):.4%} of {len(accuracies)} models")


def _evaluate_one(path: Path, dataset: data.Dataset, arguments: Arguments) -> dict[str, Any]:
    from training import evaluate, plots

    digits = dataset.part(arguments.part)
    probabilities, reject = evaluate.load_predict(path)(digits.images)
    scores = evaluate.score(probabilities, digits.labels) | {"mean_reject": float(reject.mean())}
    if arguments.uploads:
        graph = Run.open(path).onnx_path if path.is_dir() else path
        scores["uploads"] = evaluate.evaluate_uploads(evaluate.load_classifier(graph), digits)
    _print_scores(path, arguments.part, scores)
    if path.is_dir():
        run = Run.open(path)
        kept = run.read("evaluation") if run.has("evaluation") else {}
        run.write("evaluation", kept | {arguments.part: scores})
        folder = run.folder / "plots"
        plots.plot_confusion(scores["confusion"], folder / f"confusion-{arguments.part}.png")
        plots.plot_mistakes(digits, probabilities, folder / f"mistakes-{arguments.part}.png")
        plots.plot_history(run.read("history")["epochs"], folder / "history.png")
        if arguments.record:
            write_json(arguments.record / f"{run.id}.json", run.record())
    return scores


def _print_scores(path: Path, part: str, scores: dict[str, Any]) -> None:
    low, high = scores["interval"]
    print(
        f"{path} on {part}: {scores['accuracy']:.4%} of {scores['n']} ({low:.2%} to {high:.2%}), NLL {scores['nll']:.4f}"
    )
    for row in scores["per_class"]:
        print(
            f"  {row['digit']}: precision {row['precision']:.4f}, recall {row['recall']:.4f}, F1 {row['f1']:.4f}, n {row['n']}"
        )
    if uploads := scores.get("uploads"):
        print(f"  as PNG uploads: {uploads['accuracy']:.4%} of {uploads['n']}, decisions {uploads['decisions']}")


def _add_calibrate(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "calibrate",
        _run_calibrate,
        "fit a run's temperature and thresholds on validation digits\n\n"
        "The temperature makes a confidence of 0.98 mean that two in a hundred are wrong. The thresholds tell from which\n"
        "confidence on readings may be used unread for a promised error rate, with a bound on the error.",
    )
    _add_source(parser)
    _add_run(parser)


def _run_calibrate(arguments: Arguments) -> None:
    from training.calibrate import calibrate_run

    result = calibrate_run(Run.open(arguments.run), _load(arguments).validation)
    print(f"temperature {result['temperature']:.4f}, NLL {result['nll_before']:.4f} -> {result['nll_after']:.4f}")
    for target, entry in result["thresholds"].items():
        if entry:
            told = f"accept at {entry['accept_at']:.6f}: coverage {entry['coverage']:.2%}, error {entry['error']:.3%}"
            print(f"  error {target}: {told} (bound {entry['error_upper']:.3%}, n {entry['n']})")
        else:
            print(f"  error {target}: no threshold keeps the promise on these digits")


def _add_export(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "export",
        _run_export,
        "write a calibrated run as ONNX, with scaling and temperature in the graph\n\n"
        "The file is kept only if it answers the test digits as the network does: no label changed, no probability\n"
        "more than 1e-4 away.",
    )
    _add_source(parser)
    _add_run(parser)


def _run_export(arguments: Arguments) -> None:
    from training.export import export_run

    run = Run.open(arguments.run)
    result = export_run(run, _load(arguments).test)
    parity = result["parity"]
    print(f"{run.onnx_path}: {result['bytes']} bytes, operations {', '.join(result['operations'])}")
    print(
        f"parity over {parity['n']}: {parity['changed_labels']} labels changed, largest difference {parity['max_difference']:.1e}"
    )


def _add_release(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "release",
        _run_release,
        "put an exported run into models/\n\n"
        "Parity, accuracy, uploads and contract are checked once more on the very file that is released; if one fails,\n"
        "nothing is written.",
    )
    _add_source(parser)
    _add_run(parser)
    parser.add_argument("--version", required=True, help="version of the model, such as 1.2.0")
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="FOLDER", help="where to (default: models)"
    )
    parser.add_argument(
        "--minimum-accuracy", type=float, default=0.985, metavar="SHARE", help="on the test set (default: 0.985)"
    )


def _run_release(arguments: Arguments) -> None:
    from training.release import release_run

    record = release_run(
        Run.open(arguments.run),
        _load(arguments),
        arguments.version,
        arguments.models,
        minimum_accuracy=arguments.minimum_accuracy,
    )
    accuracy = record["metrics"]["test"]["accuracy"]
    print(
        f"{arguments.models / 'digits.onnx'}: version {record['version']}, {accuracy:.2%} on test, sha256 {record['sha256']}"
    )


def _load(arguments: Arguments) -> data.Dataset:
    return data.load_dataset(arguments.data, arguments.writers)


if __name__ == "__main__":
    sys.exit(main())
