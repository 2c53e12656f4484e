"""MNIST -> uint8 arrays with a fixed split into training, validation and test.

Two sources are read: a folder with the four published `.gz` files (checked against their MD5 sums), or one `.npz`
in the layout of Keras's `mnist.npz`. Validation digits are cut from the training part, never from the test part:
whole writers where QMNIST's label file says who wrote what, so that no writer is on both sides; else a fixed
stratified sample.
"""

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

# The published files (Y. LeCun, C. Cortes, C. Burges) and their MD5 sums.
MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}

# Who wrote each training image (C. Yadav, L. Bottou, "Cold Case: The Lost MNIST Digits", 2019): row i is image i,
# columns: label, NIST series, writer, index, class code, global index, duplicate, unused.
QMNIST_LABELS = "qmnist-train-labels-idx2-int.gz"
QMNIST_MD5 = {QMNIST_LABELS: "0058f8dd561b90ffdd0f734c6a30e5e4"}

# The split is part of every figure: the same for everybody, whatever the seed of a training.
SPLIT_SEED = 2019
VALIDATION_WRITERS = 0.1
VALIDATION_SIZE = 5_000

_IDX_TYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype(">u1"), 0x0C: np.dtype(">i4")}


@dataclass(frozen=True, eq=False)
class Digits:
    """`images` uint8 `[N, 28, 28]`, white ink on black, and `labels` uint8 `[N]`; equal only to itself."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.intp]) -> "Digits":
        return Digits(self.images[index], self.labels[index])


@dataclass(frozen=True)
class Dataset:
    """The three parts, with the SHA-256 of every file read and how validation was split off."""

    train: Digits
    validation: Digits
    test: Digits
    hashes: Mapping[str, str]
    split: Mapping[str, Any]

    def part(self, name: str) -> Digits:
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def load_dataset(source: Path, writers: Path | None = None) -> Dataset:
    """Load a folder of IDX files or one `.npz`, and split it.

    Args:
        source: folder with the four `.gz` files, or a `.npz` with x_train, y_train, x_test, y_test.
        writers: QMNIST's label file or its folder; by default it is looked for beside the images.

    Raises:
        DataError: a file is missing, truncated, foreign, or not the published one.
    """
    if source.suffix == ".npz":
        train, test, files = *_read_npz(source), [source]
    else:
        train, test, files = *_read_mnist(source), [source / name for name in MNIST_MD5]
    label_file = _find_writers(source, writers)
    index = _read_writers(label_file, train.labels) if label_file else None
    fit, held_out, split = split_validation(train.labels, index)
    hashes = {path.name: sha256(path) for path in [*files, *([label_file] if label_file else [])]}
    return Dataset(train.take(fit), train.take(held_out), test, hashes, split)


def split_validation(
    labels: NDArray[np.uint8], writers: NDArray[np.int32] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp], dict[str, Any]]:
    """Indices for training and for validation, and the record of how they were chosen.

    Args:
        labels: uint8 `[N]`.
        writers: int32 `[N, 2]`, NIST series and writer of each image, or None where that is not known.
    """
    if writers is not None:
        held_out, record = _by_writer(writers)
    else:
        held_out, record = _stratified(labels)
    record |= {"seed": SPLIT_SEED, "train": int((~held_out).sum()), "validation": int(held_out.sum())}
    return np.flatnonzero(~held_out), np.flatnonzero(held_out), record


def read_idx(path: Path) -> NDArray[Any]:
    """Read a gzipped IDX file of uint8 or int32.

    Raises:
        DataError: the file is missing, no gzip, no IDX, or shorter or longer than its header says.
    """
    data = _gunzip(path)
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


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _gunzip(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path} is missing; `python -m training data` downloads it") from None
    except (OSError, EOFError, zlib.error) as exc:
        raise DataError(f"{path} is no complete gzip file: {exc}") from exc


def _read_mnist(folder: Path) -> tuple[Digits, Digits]:
    if not folder.is_dir():
        raise DataError(f"the data folder {folder} does not exist; `python -m training data` fills it")
    for name, published in MNIST_MD5.items():
        path = folder / name
        if path.is_file() and md5(path) != published:
            raise DataError(f"{path} is not the published file: its MD5 is {md5(path)}, not {published}")
    parts = []
    for prefix in ("train", "t10k"):
        images, labels = (read_idx(folder / name) for name in MNIST_MD5 if name.startswith(prefix))
        parts.append(_checked(images, labels, f"{folder} ({prefix})"))
    return parts[0], parts[1]


def _read_npz(path: Path) -> tuple[Digits, Digits]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            train = _checked(arrays["x_train"], arrays["y_train"], f"{path} (train)")
            test = _checked(arrays["x_test"], arrays["y_test"], f"{path} (test)")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except KeyError as exc:
        raise DataError(f"{path} lacks an array: {exc.args[0]}; needed: x_train, y_train, x_test, y_test") from exc
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as exc:
        raise DataError(f"{path} is no readable .npz file") from exc
    return train, test


def _checked(images: NDArray[Any], labels: NDArray[Any], origin: str) -> Digits:
    if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype != np.uint8:
        raise DataError(f"{origin}: images are {images.dtype} {images.shape}, not uint8 (N, 28, 28)")
    if labels.shape != (len(images),):
        raise DataError(f"{origin}: {len(images)} images, but labels of shape {labels.shape}")
    if not len(labels) or labels.min() < 0 or labels.max() > 9:
        raise DataError(f"{origin}: there must be labels, all of 0 to 9")
    return Digits(images, labels.astype(np.uint8))


def _find_writers(source: Path, writers: Path | None) -> Path | None:
    if writers is None:
        beside = (source if source.is_dir() else source.parent) / QMNIST_LABELS
        return beside if source.is_dir() and beside.is_file() else None
    path = writers / QMNIST_LABELS if writers.is_dir() else writers
    if not path.is_file():
        raise DataError(f"the writers of the images were expected in {path}, which does not exist")
    return path


def _read_writers(path: Path, labels: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Series and writer of each image, int32 `[N, 2]`."""
    rows = read_idx(path)
    if rows.ndim != 2 or rows.shape[1] < 3:
        raise DataError(f"{path} has the shape {rows.shape}, not (N, 8) as QMNIST's labels")
    if not np.array_equal(rows[:, 0], labels):
        raise DataError(f"{path} labels other images: {len(rows)} rows for {len(labels)} training images")
    return np.asarray(rows[:, 1:3], dtype=np.int32)


def _by_writer(writers: NDArray[np.int32]) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Every tenth writer of each series: MNIST mixes tidy census staff with hasty students, validation should too."""
    rng = np.random.default_rng(SPLIT_SEED)
    chosen: list[int] = []
    for series in np.unique(writers[:, 0]):
        names = np.unique(writers[writers[:, 0] == series, 1])
        count = max(1, round(VALIDATION_WRITERS * len(names)))
        chosen += rng.permutation(names)[:count].tolist()
    held_out = np.isin(writers[:, 1], chosen)
    record = {"method": "by writer", "writers": len(np.unique(writers[:, 1])), "validation_writers": len(chosen)}
    return held_out, record


def _stratified(labels: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """The same share of every class; 5,000 digits, or a tenth of a set with fewer than 50,000."""
    rng = np.random.default_rng(SPLIT_SEED)
    share = min(VALIDATION_SIZE / len(labels), VALIDATION_WRITERS)
    held_out = np.zeros(len(labels), np.bool_)
    for label in range(10):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out[members[: round(share * len(members))]] = True
    return held_out, {"method": "stratified"}
