"""What normalising costs: time by kind of picture, memory and room on disk, with Pillow and numpy and with OpenCV.

Time is that from the file's bytes to 28x28, beside that which Pillow takes to decode the same file to grey.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.contender import normalise_with_opencv
from training.drawing import draw_digits
from training.evaluate import encode_png
from training.latency import measure_in_turns
from training.normalised import normalise_as_served

Grey = NDArray[np.uint8]

DECODING, SERVED, OPENCV = "Pillow's decoding to grey", "Pillow and numpy", "OpenCV"
DISTRIBUTIONS = {SERVED: "pillow", OPENCV: "opencv-python-headless"}
_NORMALISERS = {
    SERVED: "training.normalised:normalise_as_served",
    OPENCV: "training.contender:normalise_with_opencv",
}
PICTURES, ROUNDS = 20, 25
# Of a cell, the part that a digit has with the margin of MNIST around it.
INNER = 0.8
LARGE, LARGE_GREY = "12-megapixel JPEG", "12-megapixel grey JPEG"
LARGE_SIZE = 4000, 3000
LARGE_QUALITY = 85
# Red, green and blue of white paper by lamp light.
LAMP = 1.0, 0.95, 0.85

# Normalises the files that it is given with a function, and tells how much memory the process has taken at most.
_MEASURE_MEMORY = """
import importlib, re, sys
from pathlib import Path
module, function = sys.argv[1].split(":")
normalise = getattr(importlib.import_module(module), function)
for path in sys.argv[2:]:
    normalise(Path(path).read_bytes())
status = Path("/proc/self/status")
print(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else 0)
"""


def draw_kinds(count: int = PICTURES) -> dict[str, list[bytes]]:
    """Encoded pictures of drawn digits by kind: as MNIST, cells with and without a frame, scans, one photograph.

    The photograph comes in colour, as cameras write it, and in grey.
    """
    rng = np.random.default_rng(0)
    digits = list(draw_digits(count, rng)[0])
    cells = [_on_paper(digit, 64, rng) for digit in digits]
    width, height = LARGE_SIZE
    photograph = _on_paper(digits[0], height, rng)
    margin = (width - height) // 2
    photograph = np.pad(photograph, ((0, 0), (margin, margin)), "symmetric")
    return {
        "28x28 PNG": [encode_png(digit) for digit in digits],
        "64x64 cell": [encode_png(cell) for cell in cells],
        "64x64 cell in a frame": [encode_png(_with_frame(cell)) for cell in cells],
        "300x300 scan": [encode_png(_on_paper(digit, 300, rng)) for digit in digits],
        LARGE: [_encode_jpeg(_by_lamp_light(photograph))],
        LARGE_GREY: [_encode_jpeg(photograph)],
    }


def _on_paper(digit: Grey, side: int, rng: np.random.Generator) -> Grey:
    """A digit of MNIST's geometry in dark ink on light paper with some grain."""
    inner = int(INNER * side)
    large = cv2.resize(digit, (inner, inner), interpolation=cv2.INTER_CUBIC)
    ink = np.pad(large, (side - inner + 1) // 2)[:side, :side].astype(np.float32) / 255
    paper = rng.uniform(225, 245) + rng.normal(0, 2, (side, side))
    return np.asarray((paper - ink * rng.uniform(150, 200)).clip(0, 255), np.uint8)


def _with_frame(cell: Grey) -> Grey:
    """A cell with a printed frame around it, near the rim."""
    framed = cell.copy()
    cv2.rectangle(framed, (2, 2), (len(cell) - 3, len(cell) - 3), 60, 2)
    return framed


def _by_lamp_light(picture: Grey) -> Grey:
    """A grey picture `[height, width]` in colour `[height, width, 3]`, as white paper looks under a warm lamp."""
    return np.stack([picture, (picture * LAMP[1]).astype(np.uint8), (picture * LAMP[2]).astype(np.uint8)], axis=2)


def _encode_jpeg(picture: Grey) -> bytes:
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=LARGE_QUALITY)
    return buffer.getvalue()


def decode_to_grey(picture: bytes) -> Grey:
    """What Pillow does with a file without further ado."""
    return np.asarray(Image.open(BytesIO(picture)).convert("L"))


def measure_times(kinds: Mapping[str, Sequence[bytes]], rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Median microseconds a picture, by kind and by what is done with it, all of it in turns.

    Every picture is timed by itself: so short a call is rarely interrupted, and the median not moved by those that are.
    """
    functions = {DECODING: decode_to_grey, SERVED: normalise_as_served, OPENCV: normalise_with_opencv}
    calls = {
        (kind, number, name): partial(function, picture)
        for kind, pictures in kinds.items()
        for number, picture in enumerate(pictures)
        for name, function in functions.items()
    }
    seconds = measure_in_turns(calls, rounds)
    return {
        kind: {name: 1e6 * median(seconds[kind, number, name] for number in range(len(pictures))) for name in functions}
        for kind, pictures in kinds.items()
    }


def measure_memory(kinds: Mapping[str, Sequence[bytes]]) -> dict[str, dict[str, float]]:
    """Megabytes that a process of its own has resident at most: reading all small kinds, and reading the photograph.

    Nothing where the system does not tell (it is Linux that does).
    """
    with tempfile.TemporaryDirectory() as folder:
        files = _write(kinds, Path(folder))
        small = [path for kind, paths in files.items() if kind not in (LARGE, LARGE_GREY) for path in paths]
        taken = {
            name: {"small pictures": _peak(function, small), LARGE: _peak(function, files[LARGE])}
            for name, function in _NORMALISERS.items()
        }
    return taken if all(all(row.values()) for row in taken.values()) else {}


def _write(kinds: Mapping[str, Sequence[bytes]], folder: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for kind, pictures in kinds.items():
        files[kind] = [folder / f"{kind} {number}" for number in range(len(pictures))]
        for path, picture in zip(files[kind], pictures, strict=True):
            path.write_bytes(picture)
    return files


def _peak(function: str, paths: Sequence[Path]) -> float:
    command = [sys.executable, "-c", _MEASURE_MEMORY, function, *map(str, paths)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return int(done.stdout) / 1024


def measure_sizes() -> dict[str, dict[str, Any]]:
    """Version and installed size, in megabytes, of the one distribution that each needs besides numpy."""
    return {name: _measure_size(distribution_name) for name, distribution_name in DISTRIBUTIONS.items()}


def _measure_size(name: str) -> dict[str, Any]:
    found = distribution(name)
    paths = [Path(str(found.locate_file(file))) for file in found.files or []]
    size = sum(path.stat().st_size for path in paths if path.is_file() and path.suffix != ".pyc")
    return {"distribution": name, "version": found.version, "megabytes": size / 2**20}
