from pathlib import Path
from typing import Any

import numpy as np

from service.reader import Reader
from training.evaluate import load_classifier
from training.runs import machine, write_json
from training.verbs.common import FIGURES, Arguments, add_source, add_verb, load, model_of

_TEXT = """\
measure how the service reads handwriting that no training saw

Sets of labelled pictures go through the service's own reader: a folder whose files begin with the digit on them, a .npz
file with pictures x and labels y (FILE.npz:NAME for pictures of another name), or load_digits, which comes with
scikit-learn. Then the same test digits in many formats, colours, sizes and margins, and after fifteen corruptions, the
latter beside other exported graphs. What is misread is drawn into the folder of runs, for the HTML page. Nothing is chosen by any of it."""

VARIED_DIGITS = 200
CORRUPTED_DIGITS = 10_000


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "handwriting", _run, _TEXT)
    add_source(parser)
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="an exported graph with its record: models/digits.onnx"
    )
    parser.add_argument("sets", nargs="*", metavar="SET", help="a folder, FILE.npz, FILE.npz:NAME or load_digits")
    parser.add_argument(
        "--beside", type=Path, action="append", default=[], metavar="MODEL", help="another graph to corrupt digits for"
    )
    parser.add_argument(
        "--varied", type=int, default=VARIED_DIGITS, metavar="N", help=f"test digits to vary (default: {VARIED_DIGITS})"
    )
    parser.add_argument(
        "--corrupted",
        type=int,
        default=CORRUPTED_DIGITS,
        metavar="N",
        help=f"test digits to corrupt (default: {CORRUPTED_DIGITS})",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="where pictures of what is misread go (default: runs)"
    )
    parser.add_argument("--record", type=Path, metavar="FOLDER", help=f"write handwriting.json, such as into {FIGURES}")


def _run(arguments: Arguments) -> None:
    from training import handwriting

    classifier = load_classifier(arguments.model)
    reader = Reader(classifier)
    misread = arguments.runs / handwriting.MISREAD
    sets = [handwriting.score_set(reader, handwriting.load_set(source), misread) for source in arguments.sets]
    for scores in sets:
        _tell(scores)
    test = load(arguments).test
    some = test.take(np.random.default_rng(0).permutation(len(test))[: arguments.varied])
    varied = handwriting.score_variants(reader, some)
    print(f"variants: {varied['agree']:.2%} of {varied['n']:,} are read as the plain picture is")
    record = classifier.record
    models = {f"{record.architecture} {record.version}": arguments.model}
    models |= {load_classifier(path).record.architecture: path for path in arguments.beside}
    corrupted = handwriting.score_models_on_corruptions(
        models, test.take(np.arange(min(len(test), arguments.corrupted)))
    )
    for name, scores in corrupted.items():
        print(f"{name} on corrupted digits: mean {scores['mean']:.2%} of {scores['n']:,} each")
    if arguments.record:
        figures = {"model": model_of(classifier), "machine": machine(), "sets": sets}
        figures |= {"variants": varied, "corruptions": corrupted}
        write_json(arguments.record / "handwriting.json", figures)


def _tell(scores: dict[str, Any]) -> None:
    low, high = scores["interval"]
    print(
        f"{scores['name']}: {scores['accuracy']:.2%} of {scores['n']:,} ({low:.2%} to {high:.2%}), accepted "
        f"{scores['accepted'] / scores['n']:.2%} with {scores['accepted_wrong']} wrong"
    )
    for folder, row in scores.get("folders", {}).items():
        print(
            f"  {folder}: {row['accuracy']:.2%} of {row['n']}, accepted {row['accepted']} with {row['accepted_wrong']} wrong"
        )
