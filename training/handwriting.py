"""How the service reads handwriting that no training saw: labelled pictures in folders and arrays, variants, corruptions.

What is measured goes into one JSON file with the sha256 of the model, for `report` to tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from service.classifier import DigitClassifier
from service.decisions import Decision
from service.images import decode
from service.preprocessing import SIZE
from service.reader import Reader, Reading, Source
from training.data import Digits
from training.errors import DataError
from training.evaluate import accuracy_of, encode_png
from training.plots import plot_grid
from training.robustness import score_corruptions
from training.variants import variants

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
PER_CALL = 128
# A folder of so many pictures is told by itself, those with fewer together.
LARGE_FOLDER = 100
LOAD_DIGITS = "load_digits"
LOAD_DIGITS_SIDE = 64
MOST_MISREAD = 60
# Below the folder of runs, which is kept to oneself: the pictures are other people's.
MISREAD = "misread"


@dataclass(frozen=True)
class PictureSet:
    """Encoded pictures of single digits with their labels, uint8 `[N]`, and the folder that each is from."""

    name: str
    pictures: Sequence[bytes]
    labels: NDArray[np.uint8]
    folders: Sequence[str]

    def spread(self, most: int) -> "PictureSet":
        """At most so many of the pictures, evenly spread over the set."""
        chosen = np.linspace(0, len(self.pictures), min(most, len(self.pictures)), endpoint=False).astype(int)
        folders = [self.folders[index] for index in chosen]
        return PictureSet(self.name, [self.pictures[index] for index in chosen], self.labels[chosen], folders)


def load_set(source: str) -> PictureSet:
    """Labelled pictures of a folder, an array file, or scikit-learn.

    Args:
        source: a folder whose files begin with the digit on them, subfolders included; `FILE.npz` with pictures
            `x`, uint8 `[N, height, width]`, and labels `y`, or `FILE.npz:NAME` for pictures of another name; or
            `load_digits`, the 1,797 digits of 8x8 pixels that come with scikit-learn, dark on light and enlarged.

    Raises:
        DataError: there is no such folder or file, or it holds no such pictures.
    """
    if source == LOAD_DIGITS:
        return _load_digits()
    path, _, name = source.partition(".npz:")
    if name or source.endswith(".npz"):
        return _load_arrays(Path(f"{path}.npz") if name else Path(source), name or "x")
    return _load_folder(Path(source))


def _load_folder(folder: Path) -> PictureSet:
    paths = sorted(path for path in folder.rglob("[0-9]*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"{folder} holds no picture whose name begins with a digit")
    labels = np.array([int(path.name[0]) for path in paths], np.uint8)
    folders = [path.relative_to(folder).parts[0] if path.parent != folder else "" for path in paths]
    return PictureSet(folder.name, [path.read_bytes() for path in paths], labels, folders)


def _load_arrays(path: Path, name: str) -> PictureSet:
    try:
        with np.load(path) as arrays:
            pictures, labels = arrays[name], arrays["y"].astype(np.uint8)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} holds no arrays {name} and y: {error}") from error
    encoded = [encode_png(picture) for picture in pictures]
    return PictureSet(path.stem if name == "x" else f"{path.stem} {name}", encoded, labels, [""] * len(labels))


def _load_digits() -> PictureSet:
    from sklearn.datasets import load_digits

    data = load_digits()
    side = LOAD_DIGITS_SIDE, LOAD_DIGITS_SIDE
    grey = np.rint(255 - data.images * (255 / 16)).astype(np.uint8)
    enlarged = [np.asarray(Image.fromarray(image).resize(side, Image.Resampling.BICUBIC)) for image in grey]
    labels = data.target.astype(np.uint8)
    return PictureSet(LOAD_DIGITS, [encode_png(image) for image in enlarged], labels, [""] * len(labels))


def score_set(reader: Reader, pictures: PictureSet, misread: Path | None = None) -> dict[str, Any]:
    """Accuracy, decisions and the error among the accepted, pooled and by folder; `macro` is the mean over folders.

    Into the folder `misread`, if given, goes a picture of those that were read wrong, named as the set.
    """
    readings = read_all(reader, pictures.pictures)
    if misread is not None:
        draw_misread(pictures, readings, misread / picture_name(pictures.name))
    digits = np.array(
        [reading.digit if isinstance(reading, Reading) and reading.digit is not None else -1 for reading in readings]
    )
    decisions = np.array([reading.decision if isinstance(reading, Reading) else "error" for reading in readings])
    right, folders = digits == pictures.labels, np.array(pictures.folders)
    rows = {str(name): _score(right[folders == name], decisions[folders == name]) for name in np.unique(folders)}
    scores = {"name": pictures.name, **_score(right, decisions)}
    if len(rows) > 1:
        scores |= {"folders": rows, "macro": float(np.mean([row["accuracy"] for row in rows.values()]))}
    return scores


def draw_misread(pictures: PictureSet, readings: Sequence[Any], path: Path) -> None:
    """Pictures that were read wrong, the surest first: each as it came, and beside it as the network saw it."""
    all_ = zip(pictures.pictures, pictures.labels, readings, strict=True)
    wrong = [found for found in all_ if isinstance(found[2], Reading) and found[2].digit not in (found[1], None)]
    wrong.sort(key=lambda found: -found[2].confidence)
    images, titles = [], []
    for picture, label, reading in wrong[:MOST_MISREAD]:
        images += [_small(picture), reading.pixels]
        titles += [f"{label} > {reading.digit}", f"{reading.confidence:.3f}"]
    plot_grid(np.array(images, np.uint8).reshape(-1, SIZE, SIZE), titles, path, columns=12)


def picture_name(name: str) -> str:
    """The file that a set's misread pictures are in."""
    return f"{name.replace(' ', '-')}.png"


def _small(picture: bytes) -> NDArray[np.uint8]:
    """A picture in a square of the size of those that the network sees."""
    fitted = ImageOps.pad(decode(picture).convert("L"), (SIZE, SIZE), color=255)
    return np.asarray(fitted, np.uint8)


def _score(right: NDArray[np.bool_], decisions: NDArray[np.str_]) -> dict[str, Any]:
    accepted = decisions == Decision.ACCEPT
    return {
        **accuracy_of(int(right.sum()), len(right)),
        "accepted": int(accepted.sum()),
        "accepted_wrong": int((accepted & ~right).sum()),
        "rejected": int((decisions == Decision.REJECT).sum()),
    }


def read_all(reader: Reader, pictures: Sequence[Source]) -> list[Any]:
    """Readings, or errors, of any number of pictures."""
    return [
        result
        for start in range(0, len(pictures), PER_CALL)
        for result in reader.read(pictures[start : start + PER_CALL])
    ]


def score_variants(reader: Reader, digits: Digits) -> dict[str, Any]:
    """How often each variant of a digit is read as the plain picture of it is."""
    agree: dict[str, int] = {}
    for image in digits.images:
        files = dict(variants(image))
        plain, *others = (
            reading.digit if isinstance(reading, Reading) else None for reading in reader.read(files.values())
        )
        for name, digit in zip(list(files)[1:], others, strict=True):
            agree[name] = agree.get(name, 0) + (digit == plain and plain is not None)
    n = len(digits)
    return {"digits": n, "n": n * len(agree), "agree": sum(agree.values()) / (n * len(agree)), "variants": agree}


def score_models_on_corruptions(models: Mapping[str, Path], digits: Digits) -> dict[str, Any]:
    """Accuracy of several exported graphs on the same corrupted digits, by name."""
    return {name: score_corruptions(DigitClassifier.load(path).predict, digits) for name, path in models.items()}
