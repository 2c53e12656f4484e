"""How well photos and scans of single digits are read: by this service, by resizing as tutorials do, by Tesseract.

The pictures are yours: a folder of files whose names begin with the digit that is on them, subfolders included.

    python -m benchmarks.alternatives scans/
"""

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from service.classifier import DigitClassifier
from service.decisions import wilson_interval
from service.reader import Reader, Reading
from service.settings import released_model

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alternatives", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="files named by the digit on them: 7.png, 7_002.jpg")
    options = parser.parse_args(arguments)
    paths = sorted(path for path in options.folder.rglob("[0-9]*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        parser.error(f"there is no picture whose name begins with a digit in {options.folder}")
    pictures, labels = [path.read_bytes() for path in paths], [int(path.name[0]) for path in paths]
    classifier = DigitClassifier.load(released_model())
    reader = Reader(classifier)

    def resized(picture: bytes, *, invert: bool) -> int:
        grey = np.asarray(Image.open(io.BytesIO(picture)).convert("L").resize((28, 28)))
        return int(classifier.predict((255 - grey if invert else grey)[np.newaxis])[0].argmax())

    methods: dict[str, Callable[[bytes], int | None]] = {
        "digits": lambda picture: _digit(reader, picture),
        "resized to 28x28, the same network": lambda picture: resized(picture, invert=False),
        "inverted and resized, the same network": lambda picture: resized(picture, invert=True),
        "Tesseract 5, one character, digits only": _tesseract,
    }
    print(f"| {len(labels)} pictures | read right | 95 % interval |")
    print("|---|--:|--:|")
    for name, read in methods.items():
        hits = sum(read(picture) == label for picture, label in zip(pictures, labels, strict=True))
        low, high = wilson_interval(hits, len(labels))
        print(f"| {name} | {hits / len(labels):.1%} | {low:.1%} to {high:.1%} |", flush=True)
    return 0


def _digit(reader: Reader, picture: bytes) -> int | None:
    [result] = reader.read([picture])
    return result.digit if isinstance(result, Reading) else None


def _tesseract(picture: bytes) -> int | None:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        Path(file.name).write_bytes(picture)
        command = ["tesseract", file.name, "-", "--psm", "10", "-c", "tessedit_char_whitelist=0123456789"]
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return int(text) if text.isdigit() and len(text) == 1 else None


if __name__ == "__main__":
    sys.exit(main())
