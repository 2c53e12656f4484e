from pathlib import Path
from typing import Any

from training.data import Dataset
from training.network import load_keras_model, save_model
from training.runs import Run
from training.verbs.common import Arguments, add_run, add_source, add_verb, load

_FORMATS = ("onnx", "tflite", "keras", "h5")
_TEXT = """\
write a calibrated run for other programs

  onnx     digits.onnx, with scaling and temperature in the graph: what the service runs
  tflite   digits.tflite (float) and digits-int8.tflite (integers throughout), for phones and embedded boards
  keras    digits.keras, the network alone: pixels in 0..1 to logits
  h5       digits.h5, the same for older Keras

An ONNX or float TensorFlow Lite file is kept only if it answers the test digits as the network does: no label changed,
no probability more than 1e-4 away; the int8 file may read one digit in a thousand less. TensorFlow Lite's are checked
with its interpreter."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "export", _run, _TEXT)
    add_source(parser)
    add_run(parser)
    parser.add_argument(
        "--formats", nargs="+", choices=_FORMATS, default=["onnx"], metavar="FORMAT", help="which (default: onnx)"
    )


def _run(arguments: Arguments) -> None:
    run, dataset = Run.open(arguments.run), load(arguments)
    write = {"onnx": _export_onnx, "tflite": _export_tflite, "keras": _export_keras, "h5": _export_h5}
    for name in arguments.formats:
        write[name](run, dataset)


def _export_onnx(run: Run, dataset: Dataset) -> None:
    from training.export import export_run

    result = export_run(run, dataset.test)
    parity = result["parity"]
    print(f"{run.onnx_path}: {result['bytes']} bytes, operations {', '.join(result['operations'])}")
    print(
        f"parity over {parity['n']}: {parity['changed_labels']} labels changed, largest difference {parity['max_difference']:.1e}"
    )


def _export_tflite(run: Run, dataset: Dataset) -> None:
    from training.tflite import export_tflite

    for name, each in export_tflite(run, dataset.train, dataset.test).items():
        print(
            f"{run.folder} tflite {name}: {each['bytes']:,} bytes, {each['accuracy']:.2%} of {each['n']}, "
            f"{each['lost'] * 100:+.2f} points lost, {each['changed_labels']} labels changed"
        )


def _export_keras(run: Run, _dataset: Dataset) -> None:
    _save(run, run.folder / "digits.keras")


def _export_h5(run: Run, _dataset: Dataset) -> None:
    _save(run, run.folder / "digits.h5")


def _save(run: Run, path: Path) -> None:
    save_model(load_keras_model(run.model_path), path)
    print(f"{path}: {path.stat().st_size:,} bytes")
