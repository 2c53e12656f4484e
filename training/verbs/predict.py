from pathlib import Path
from typing import Any

from training.evaluate import load_predict
from training.verbs.common import RELEASED, Arguments, add_verb

_TEXT = """\
read one picture with any model file and show what the network saw

The picture is normalised exactly as the service does. The answer stands beside it on the terminal; --plot draws
picture, normalised digit and probabilities into a PNG file."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "predict", _run, _TEXT)
    parser.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE", help="any format that the service reads")
    parser.add_argument(
        "--model",
        type=Path,
        default=RELEASED,
        metavar="MODEL",
        help=f"a run folder, or a .keras, .h5 or .onnx file (default: {RELEASED})",
    )
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="also draw each answer as <picture's name>.png")


def _run(arguments: Arguments) -> None:
    from training.plots import plot_answer
    from training.predict import answer_lines, answer_picture

    predict = load_predict(arguments.model)
    for path in arguments.pictures:
        answer = answer_picture(predict, path)
        print(f"{path}: {answer.digit} ({answer.probabilities.max():.2%})")
        print("\n".join(answer_lines(answer)))
        if arguments.plot:
            plot_answer(answer.picture, answer.pixels, answer.probabilities, arguments.plot / f"{path.stem}.png")
