"""The command line: `python -m training VERB --help`."""

import argparse
import sys
from collections.abc import Sequence

from training.errors import TrainingError
from training.verbs import (
    ablate,
    average,
    baselines,
    calibrate,
    columns,
    compare,
    data,
    decisions,
    distil,
    ensemble,
    evaluate,
    explore,
    export,
    handwriting,
    ingredients,
    lessons,
    predict,
    release,
    report,
    strings,
    train,
    tune,
)

_DESCRIPTION = """\
From pictures of digits to a released model, step by step:

  data       download MNIST, checked against its published MD5 sums
  explore    look at the data: counts, samples, oddities
  train      train a network; everything about it goes into runs/<id>/
  tune       search for a better recipe, on validation digits
  distil     train a small network to answer as larger ones do
  average    average the weights of a run and of the network that it started from
  ensemble   average the answers of several runs
  evaluate   accuracy, per-class scores, calibration, mistakes, as JSON and plots
  predict    read one picture and show what the network saw
  calibrate  fit the temperature and the thresholds on validation digits
  export     write the network as ONNX, TensorFlow Lite or Keras file and check that it answers the same
  columns    train the network that reads numbers of several digits
  strings    read numbers of several digits, and calibrate how sure they are
  release    put a run into models/, with its record and model card

What is it worth?

  decisions  measure what may pass unread: coverage and error, blank cells, letters, drawn negatives
  handwriting  measure handwriting that no training saw: folders of pictures, formats and sizes, corruptions
  ablate       measure what each step of the normalisation is worth, beside the same steps with OpenCV
  ingredients  measure what each ingredient of our network's training is worth
  lessons      measure what students learned from their teachers
  baselines  measure neighbours, support vectors, trees and logistic regression
  compare    one table over all runs and baselines
  report     one HTML page, and docs/accuracy.md

Each verb explains itself: python -m training VERB --help
"""

_VERBS = (
    data,
    explore,
    train,
    tune,
    distil,
    average,
    ensemble,
    evaluate,
    predict,
    calibrate,
    export,
    columns,
    strings,
    release,
    decisions,
    handwriting,
    ablate,
    ingredients,
    lessons,
    baselines,
    compare,
    report,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; 0 if it did its work, 2 with a line on stderr if it could not, 130 if interrupted."""
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run_verb(arguments)
    except TrainingError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "interrupted; `python -m training train --resume RUN` goes on with an unfinished run, "
            "and tune with its study when called again",
            file=sys.stderr,
        )
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB", help="one of the above")
    for verb in _VERBS:
        verb.add(verbs)
    return parser


if __name__ == "__main__":
    sys.exit(main())
