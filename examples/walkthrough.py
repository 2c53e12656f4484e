"""From raw digits to a released model and a report, step by step, in one script.

    python -m training data                      # MNIST, once
    python examples/walkthrough.py               # about a quarter of an hour on two cores

Everything goes into the folder walkthrough/; nothing else is touched. Each step is a command that you can type as
well: the script prints it before it runs it. Read along, change a step, run it again.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.__main__ import main as training


def walk(data: Path, folder: Path, pictures: Sequence[Path], epochs: int | None = None) -> Iterator[str]:
    """The commands in order; a later one may depend on the folders that an earlier one made."""
    source, runs, records = f"--data {data}", folder / "runs", folder / "records"
    short = f" --epochs {epochs}" if epochs else ""

    # 1. Look at the data before anything else, and at what our network is taught of them (taught.png).
    #    explore/README.md tells what to notice.
    yield f"explore {source} --out {folder / 'explore'} --taught ours"

    # 2. Train the network of most tutorials, with two seeds: one number alone says little.
    yield f"train {source} --architecture cnn_225k --seeds 0 1{short} --runs {runs}"

    # 3. Another network, for comparison; any of `python -m training train --help`.
    yield f"train {source} --architecture cnn_32_64_64_dense64{short} --runs {runs}"
    alone = sorted(runs.iterdir())

    # 4. Is there a better recipe? Looked for on validation digits; the last line is the command that trains with it.
    yield f"tune {source} --architecture cnn_32_64_64_dense64 --trials 2 --epochs 1 --study {folder / 'tune'}"

    # 5. Two networks together, as one; and the small one once more, taught by both.
    yield f"ensemble {source} {' '.join(map(str, alone[:2]))} --runs {runs}"
    yield f"distil {source} {' '.join(map(str, alone[:2]))} --student cnn_32_64_64_dense64{short} --runs {runs}"
    trained = sorted(runs.iterdir())
    [student] = [run for run in trained if run not in alone and not run.name.startswith("ensemble")]

    # 6. Make confidences mean what they say, write ONNX, and measure on the test digits, which had no part so far.
    yield f"calibrate {source} {' '.join(map(str, trained))}"
    for run in trained:
        yield f"export {source} {run}"
    yield f"evaluate {source} {' '.join(map(str, trained))} --record {records}"

    # 7. What do classifiers without a network reach?
    yield f"baselines {source} logistic_regression decision_tree --record {records}"

    # 8. Side by side, with cost and significance, and as a page to read.
    yield f"compare --records {records} --time --runs {runs} {source}"
    page, markdown = folder / "report.html", folder / "accuracy.md"
    yield f"report --records {records} --runs {runs} --html {page} --markdown {markdown}"

    # 9. Ask the student about pictures, and see what it saw.
    for picture in pictures:
        yield f"predict {picture} --model {student} --plot {folder / 'answers'}"

    # 10. For phones: floating point, and integers throughout.
    yield f"export {source} {student} --formats tflite"

    # 11. Release it: checked once more, with a model card. `digits serve` takes it with DIGITS_MODEL_PATH.
    accuracy = "--minimum-accuracy 0.5" if epochs else ""
    yield f"release {source} {student} --version 0.0.1 --models {folder / 'models'} {accuracy}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="as for python -m training (default: data)")
    parser.add_argument("--folder", type=Path, default=Path("walkthrough"), help="where everything goes")
    parser.add_argument("--epochs", type=int, help="fewer than the recipes say, for a quick look")
    arguments = parser.parse_args(argv)
    pictures = [Path(__file__).with_name("seven.png")]
    for command in walk(arguments.data, arguments.folder, pictures, arguments.epochs):
        print(f"\n$ python -m training {command}", flush=True)
        if code := training(shlex.split(command)):
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
