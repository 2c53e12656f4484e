"""Labelled digits -> uint8 arrays with a fixed split into training, validation and test.

Read are: a folder with MNIST's four published files (the packed ones checked against their MD5 sums), a folder with
EMNIST's digits, one `.npz` in the layout of Keras's `mnist.npz`, Kaggle's CSV or its folder, and a folder of pictures
in folders named by label. Where a source has no test part, a fixed stratified one is cut off first. Validation digits
are cut from the training part, never from the test part: whole writers where QMNIST's label file says who wrote
what, so that no writer is on both sides; else a fixed stratified sample.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError
from training.formats import (
    HASH_OF_PICTURES,
    Digits,
    is_picture_folder,
    read_csv,
    read_idx,
    read_idx_pair,
    read_npz,
    read_pictures,
)

__all__ = [
    "Dataset",
    "Digits",
    "hold_out",
    "load_dataset",
    "may_have_writers",
    "md5",
    "read_idx",
    "sha256",
    "split_validation",
]

# The published files (Y. LeCun, C. Cortes, C. Burges) and their MD5 sums.
MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}

# G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017.
EMNIST = tuple(
    f"emnist-digits-{part}-{kind}-ubyte" for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")
)

# Who wrote each training image (C. Yadav, L. Bottou, "Cold Case: The Lost MNIST Digits", 2019): row i is image i,
# columns: label, NIST series, writer, index, class code, global index, duplicate, unused.
QMNIST_LABELS = "qmnist-train-labels-idx2-int.gz"
QMNIST_MD5 = {QMNIST_LABELS: "0058f8dd561b90ffdd0f734c6a30e5e4"}

KAGGLE_CSV = "train.csv"  # Kaggle's test.csv has no labels

# The split is part of every figure: the same for everybody, whatever the seed of a training.
SPLIT_SEED = 2019
VALIDATION_WRITERS = 0.1
VALIDATION_SIZE = 5_000
TEST_SHARE = 0.1
LEAST_DIGITS = 30  # of a source without a test part


@dataclass(frozen=True)
class Dataset:
    """The three parts, with the SHA-256 of every file read and how validation was split off."""

    train: Digits
    validation: Digits
    test: Digits
    hashes: Mapping[str, str]
    split: Mapping[str, Any]

    @property
    def origin(self) -> dict[str, Any]:
        """The hashes and the split, as records hold them."""
        return {"hashes": dict(self.hashes), "split": dict(self.split)}

    def part(self, name: str) -> Digits:
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def load_dataset(source: Path, writers: Path | None = None) -> Dataset:
    """Load any of the sources that the module names, and split it.

    Args:
        source: a folder, a `.npz` or a `.csv` file.
        writers: QMNIST's label file or its folder; by default it is looked for beside MNIST's images.

    Raises:
        DataError: a file is missing, truncated, foreign, or not the published one.
    """
    train, test, hashes = _read(source)
    cut: dict[str, Any] = {}
    if test is None:
        train, test = _cut_test(train, source)
        cut = {"test": len(test), "test_method": "stratified"}
    label_file = _find_writers(source, writers)
    index = _read_writers(label_file, train.labels) if label_file else None
    fit, held_out, split = split_validation(train.labels, index)
    if label_file:
        hashes[label_file.name] = sha256(label_file)
    return Dataset(train.take(fit), train.take(held_out), test, hashes, split | cut)


def may_have_writers(source: Path) -> bool:
    """Whether this is MNIST, in one of the two forms whose writers QMNIST's label file tells."""
    return source.suffix == ".npz" or any(_packed(source / name.removesuffix(".gz")).is_file() for name in MNIST_MD5)


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
        share = min(VALIDATION_SIZE / len(labels), VALIDATION_WRITERS)
        held_out, record = _stratified(labels, share), {"method": "stratified"}
    record |= {"seed": SPLIT_SEED, "train": int((~held_out).sum()), "validation": int(held_out.sum())}
    return np.flatnonzero(~held_out), np.flatnonzero(held_out), record


def hold_out(dataset: Dataset, share: float) -> Dataset:
    """The data set with so large a share of its training digits held out; more go to those that already are.

    Args:
        dataset: as it was loaded.
        share: of training and validation digits together; 0, or less than is held out already, changes nothing.
    """
    both = len(dataset.train) + len(dataset.validation)
    more = share * both - len(dataset.validation)
    if more <= 0:
        return dataset
    held_out = _stratified(dataset.train.labels, more / len(dataset.train))
    moved, kept = dataset.train.take(np.flatnonzero(held_out)), dataset.train.take(np.flatnonzero(~held_out))
    validation = Digits(
        np.concatenate([dataset.validation.images, moved.images]),
        np.concatenate([dataset.validation.labels, moved.labels]),
    )
    split = {**dataset.split, "train": len(kept), "validation": len(validation), "share": share}
    return replace(dataset, train=kept, validation=validation, split=split)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _read(source: Path) -> tuple[Digits, Digits | None, dict[str, str]]:
    """Training part, test part if there is one, and the hashes of what was read."""
    if source.suffix == ".npz":
        return *read_npz(source), {source.name: sha256(source)}
    if source.suffix == ".csv":
        return read_csv(source), None, {source.name: sha256(source)}
    if not source.is_dir():
        raise DataError(f"the data folder {source} does not exist; `python -m training data` fills it")
    if is_picture_folder(source):
        digits, hashed = read_pictures(source)
        return digits, None, {HASH_OF_PICTURES: hashed}
    if (source / KAGGLE_CSV).is_file():
        return read_csv(source / KAGGLE_CSV), None, {KAGGLE_CSV: sha256(source / KAGGLE_CSV)}
    names = EMNIST if _packed(source / EMNIST[0]).is_file() else tuple(name.removesuffix(".gz") for name in MNIST_MD5)
    paths = [_packed(source / name) for name in names]
    if names is not EMNIST:
        _check_published(paths)
    train, test = (read_idx_pair(*paths[start : start + 2], transposed=names is EMNIST) for start in (0, 2))
    return train, test, {path.name: sha256(path) for path in paths}


def _packed(path: Path) -> Path:
    """The unpacked file if only that is there, else its packed form."""
    packed = path.with_name(f"{path.name}.gz")
    return path if path.is_file() and not packed.is_file() else packed


def _check_published(paths: list[Path]) -> None:
    for path in paths:
        published = MNIST_MD5.get(path.name)
        if published and path.is_file() and md5(path) != published:
            raise DataError(f"{path} is not the published file: its MD5 is {md5(path)}, not {published}")


def _cut_test(digits: Digits, source: Path) -> tuple[Digits, Digits]:
    if len(digits) < LEAST_DIGITS:
        raise DataError(
            f"{source} holds {len(digits)} digits; at least {LEAST_DIGITS} are needed to cut a test part off"
        )
    test = _stratified(digits.labels, TEST_SHARE, SPLIT_SEED + 1)
    return digits.take(np.flatnonzero(~test)), digits.take(np.flatnonzero(test))


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


def _stratified(labels: NDArray[np.uint8], share: float, seed: int = SPLIT_SEED) -> NDArray[np.bool_]:
    """The same share of every class, at least one digit of each that has two."""
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), np.bool_)
    for label in range(10):
        members = rng.permutation(np.flatnonzero(labels == label))
        least = 1 if len(members) > 1 else 0
        held_out[members[: max(least, round(share * len(members)))]] = True
    return held_out
