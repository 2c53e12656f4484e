"""Tiny data sets of printed digits, drawn by code and normalised as the service does."""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from service.ink import find_ink
from service.preprocessing import normalize
from training.data import Dataset, Digits


def draw_digits(count: int, seed: int = 0) -> Digits:
    """`count` printed digits, all classes in turn, of random size and slant."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.uint8) % 10
    return Digits(np.stack([_draw(int(label), rng) for label in labels]), labels)


def tiny_dataset(train: int = 300, validation: int = 100, test: int = 100) -> Dataset:
    parts = [draw_digits(count, seed) for seed, count in enumerate((train, validation, test))]
    split = {"method": "stratified", "seed": 0, "train": train, "validation": validation}
    return Dataset(*parts, hashes={"drawn": "0" * 64}, split=split)


def write_npz(path: Path, train: int = 300, test: int = 100) -> Path:
    """A data set as Keras stores MNIST."""
    fit, held_out = draw_digits(train, 1), draw_digits(test, 2)
    np.savez_compressed(path, x_train=fit.images, y_train=fit.labels, x_test=held_out.images, y_test=held_out.labels)
    return path


def write_idx(path: Path, array: NDArray[np.uint8] | NDArray[np.int32]) -> Path:
    """A gzipped IDX file."""
    code = {"uint8": 0x08, "int32": 0x0C}[array.dtype.name]
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(array.dtype.newbyteorder(">")).tobytes()))
    return path


def _draw(label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    image = Image.new("L", (64, 64))
    font = ImageFont.load_default(size=int(rng.integers(36, 52)))
    text = "|" if label == 1 and rng.random() < 0.5 else str(label)
    ImageDraw.Draw(image).text((32, 32), text, fill=255, font=font, anchor="mm")
    digit = normalize(find_ink(image.rotate(int(rng.integers(-12, 13)), resample=Image.Resampling.BILINEAR)))
    assert digit is not None
    return digit
