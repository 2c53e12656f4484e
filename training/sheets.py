"""Photographed sheets -> pictures of their lines, which the service reads as fields.

    photograph --turn--> upright --darker than the paper near by--> marks --rows without any between--> lines

The service reads one line; this finds those of a sheet so that it can be measured on them.
"""

import re
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]

# Longer side at which lines are looked for, at most; nearness, in parts of it: wider than strokes, narrower than sheets.
SIDE, NEAR = 1000, 0.05
# Grey levels by which ink is darker than the paper near by: at least, and of the darkest.
LEAST, PART = 14, 0.35
# Height of a mark that may be a digit, in parts of the longer side; a line has two of them at least.
HEIGHTS = 0.02, 0.2
DIGITS = 2
# Paper around a line, in parts of its height.
MARGIN = 0.35


def turn(picture: Image.Image, told: str) -> Image.Image:
    """The picture turned as its description tells, such as "turn 90 degrees counter-clockwise"."""
    found = re.search(r"turn (\d+) degrees (counter-)?clockwise", told)
    if found is None:
        return picture
    return picture.rotate(int(found[1]) * (1 if found[2] else -1), expand=True)


def cut_lines(picture: Image.Image) -> list[Grey]:
    """The lines of an upright sheet from top to bottom, each uint8 `[height, width]` with paper around it."""
    scale = -(-max(picture.size) // SIDE)
    grey = np.asarray(picture.convert("L"))
    marks = _find_marks(np.asarray(picture.convert("L").reduce(scale)))
    lines = []
    for line in _group(marks):
        left, top = (line[:, :2].min(axis=0) * scale).tolist()
        right, bottom = ((line[:, :2] + line[:, 2:]).max(axis=0) * scale).tolist()
        margin = round(MARGIN * (bottom - top))
        lines.append(grey[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin])
    return lines


def _find_marks(grey: Grey) -> NDArray[np.intp]:
    """Boxes of what may be digits: left, top, width and height, `[N, 4]`."""
    side = max(grey.shape)
    near = cv2.getStructuringElement(cv2.MORPH_RECT, (round(NEAR * side) | 1, round(NEAR * side) | 1))
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    darker = cv2.morphologyEx(smooth, cv2.MORPH_BLACKHAT, near)
    level = max(LEAST, PART * float(np.percentile(darker, 99.9)))
    joined = cv2.dilate((darker > level).astype(np.uint8), np.ones((3, 3), np.uint8))
    boxes = cv2.connectedComponentsWithStats(joined)[2][1:, :4].astype(np.intp)
    left, top, width, height = boxes.T
    inside = (left > 0) & (top > 0) & (left + width < grey.shape[1]) & (top + height < grey.shape[0])
    likely = inside & (height >= HEIGHTS[0] * side) & (np.maximum(width, height) <= HEIGHTS[1] * side)
    return np.asarray(boxes[likely])


def _group(marks: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Marks with no free row between them stand on one line."""
    if not len(marks):
        return []
    marks = marks[np.argsort(marks[:, 1], kind="stable")]
    ends = np.maximum.accumulate(marks[:, 1] + marks[:, 3])
    starts = [0, *(np.flatnonzero(marks[1:, 1] > ends[:-1]) + 1).tolist(), len(marks)]
    return [marks[start:end] for start, end in pairwise(starts) if end - start >= DIGITS]
