"""Files of labelled digits -> uint8 arrays: IDX, Keras's `.npz`, Kaggle's CSV, folders of pictures by label."""

import gzip
import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from service.classifier import DigitClassifier
from service.errors import ServiceError
from service.reader import Digit, Reader, Timings
from training.errors import DataError

PIXELS = 28 * 28
# As the service's own command line has them.
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})

_IDX_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype(">u1"), 0x0C: np.dtype(">i4")}
HASH_OF_PICTURES = "pictures"  # in place of a file's name, where hashes of data are told
_NAMED = 5  # pictures that a message names


@dataclass(frozen=True, eq=False)
class Digits:
    """`images` uint8 `[N, 28, 28]`, white ink on black, and `labels` uint8 `[N]`; equal only to itself."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.intp]) -> "Digits":
        return Digits(self.images[index], self.labels[index])


def read_idx(path: Path) -> NDArray[Any]:
    """Read an IDX file of uint8 or int32, gzipped or not.

    Raises:
        DataError: the file is missing, no gzip, no IDX, or shorter or longer than its header says.
    """
    data = _unpacked(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES:
        raise DataError(f"{path} is no IDX file of bytes or integers; its first bytes are {data[:4].hex(' ')!r}")
    dtype, rank = _IDX_TYPES[data[2]], data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise DataError(f"{path} ends inside its header")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", count=rank, offset=4))
    expected = start + int(np.prod(shape)) * dtype.itemsize
    if len(data) != expected:
        raise DataError(f"{path} holds {len(data)} bytes unpacked, but its header {shape} says {expected}")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def read_idx_pair(images: Path, labels: Path, *, transposed: bool = False) -> Digits:
    """Read images and their labels; EMNIST stores each image with rows and columns exchanged.

    Raises:
        DataError: a file is missing, broken, or holds no digits of 28x28.
    """
    digits = checked(read_idx(images), read_idx(labels), str(images))
    return Digits(np.ascontiguousarray(digits.images.swapaxes(1, 2)), digits.labels) if transposed else digits


def read_npz(path: Path) -> tuple[Digits, Digits]:
    """Read training and test part of a file laid out as Keras's `mnist.npz`.

    Raises:
        DataError: it is missing, broken, or lacks an array.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            train = checked(arrays["x_train"], arrays["y_train"], f"{path} (train)")
            test = checked(arrays["x_test"], arrays["y_test"], f"{path} (test)")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except KeyError as exc:
        raise DataError(f"{path} lacks an array: {exc.args[0]}; needed: x_train, y_train, x_test, y_test") from exc
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as exc:
        raise DataError(f"{path} is no readable .npz file") from exc
    return train, test


def read_csv(path: Path) -> Digits:
    """Read a file with a label and 784 pixel columns, as Kaggle's Digit Recognizer has it; a header may be there.

    Raises:
        DataError: it is missing, has other columns, or values that are no labels and no pixels.
    """
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline()
            named = not first.split(",")[0].strip().isdigit()
            if named and first.split(",")[0].strip().strip('"') != "label":
                raise DataError(f"{path} starts with {first[:40]!r}; expected: label, then {PIXELS} pixels")
            file.seek(0)
            rows = np.loadtxt(file, np.int64, delimiter=",", skiprows=int(named), ndmin=2)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except (OSError, ValueError) as exc:
        raise DataError(f"{path} is no readable CSV file of whole numbers: {exc}") from exc
    if rows.shape[1:] != (1 + PIXELS,) or not len(rows):
        raise DataError(f"{path} has {len(rows)} rows of {rows.shape[1]} values; expected: label and {PIXELS} pixels")
    if rows[:, 1:].min() < 0 or rows[:, 1:].max() > 255:
        raise DataError(f"{path} has pixels outside 0 to 255")
    return checked(rows[:, 1:].astype(np.uint8).reshape(-1, 28, 28), rows[:, 0], str(path))


def is_picture_folder(folder: Path) -> bool:
    return any((folder / str(label)).is_dir() for label in range(10))


def read_pictures(folder: Path) -> tuple[Digits, str]:
    """Read pictures from folders named 0 to 9, each normalised exactly as the service does with an upload.

    Returns:
        The digits, in the order of labels and names, and the SHA-256 of all names and files together.

    Raises:
        DataError: there is none, or some cannot be read or hold no ink; the message names the first of them.
    """
    from tqdm import tqdm

    paths = [(label, path) for label in range(10) for path in _pictures_in(folder / str(label))]
    if not paths:
        raise DataError(f"{folder} holds no pictures in folders named 0 to 9 ({', '.join(sorted(PICTURES))})")
    images, failures, hashed = [], [], hashlib.sha256()
    for _, path in tqdm(paths, desc="reading pictures", disable=None):
        data = path.read_bytes()
        hashed.update(path.relative_to(folder).as_posix().encode() + b"\0" + hashlib.sha256(data).digest())
        pixels = normalize_picture(data)
        if isinstance(pixels, str):
            failures.append(f"{path} ({pixels})")
        else:
            images.append(pixels)
    if failures:
        more = f" and {len(failures) - _NAMED} more" if len(failures) > _NAMED else ""
        raise DataError(f"pictures that cannot be learnt from: {', '.join(failures[:_NAMED])}{more}")
    return Digits(np.stack(images), np.array([label for label, _ in paths], np.uint8)), hashed.hexdigest()


def normalize_picture(data: bytes) -> NDArray[np.uint8] | str:
    """What the network would see of an upload, uint8 `[28, 28]`; or why it sees nothing."""
    # The reader's first half asks no classifier.
    prepared = Reader(cast("DigitClassifier", None)).prepare(data, Timings())
    if isinstance(prepared, Digit):
        return prepared.pixels
    return str(prepared) if isinstance(prepared, ServiceError) else "blank"


def checked(images: NDArray[Any], labels: NDArray[Any], origin: str) -> Digits:
    """Images and labels of a file, if they are digits of 28x28.

    Raises:
        DataError: they have another shape, another type, or labels that are no digits.
    """
    if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype != np.uint8:
        raise DataError(f"{origin}: images are {images.dtype} {images.shape}, not uint8 (N, 28, 28)")
    if labels.shape != (len(images),):
        raise DataError(f"{origin}: {len(images)} images, but labels of shape {labels.shape}")
    if not len(labels) or labels.min() < 0 or labels.max() > 9:
        raise DataError(f"{origin}: there must be labels, all of 0 to 9")
    return Digits(images, labels.astype(np.uint8))


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())


def _unpacked(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return data if path.suffix != ".gz" else gzip.decompress(data)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; `python -m training data` downloads it") from None
    except (OSError, EOFError, zlib.error) as exc:
        raise DataError(f"{path} is no complete gzip file: {exc}") from exc
