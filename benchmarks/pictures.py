"""Distinct pictures for the benchmarks, drawn by code, with the digit on each: no cache can help a server."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from training.drawing import draw_digits

KINDS = ("28", "64", "300")


def write_pictures(folder: Path, kind: str, count: int, seed: int = 0) -> list[Path]:
    """Write `count` PNG files: "28" white on black as MNIST, "64" a form cell, "300" a scan, both dark on paper.

    A file is named `<number>-<digit>.png`.
    """
    rng = np.random.default_rng(seed)
    digits, labels = draw_digits(count, rng)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, (digit, label) in enumerate(zip(digits, labels, strict=True)):
        path = folder / f"{number:05}-{label}.png"
        buffer = io.BytesIO()
        Image.fromarray(digit if kind == "28" else _on_paper(digit, int(kind), rng)).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
        paths.append(path)
    return paths


def _on_paper(digit: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """The digit in dark ink on light paper with some grain, with a margin as in a cell."""
    inner = int(side * 0.8)
    large = cv2.resize(digit, (inner, inner), interpolation=cv2.INTER_CUBIC)
    ink = np.pad(large, (side - inner + 1) // 2)[:side, :side].astype(np.float32) / 255
    paper = rng.uniform(225, 245) + rng.normal(0, 2, (side, side))
    return (paper - ink * rng.uniform(150, 200)).clip(0, 255).astype(np.uint8)
