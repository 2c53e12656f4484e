"""The service's normalisation once more, made of OpenCV's functions: what it is measured against.

Grey, polarity, light by a morphological closing, Otsu's threshold, long openings for lines with the gaps that they leave
closed, connected components, stroke width, area interpolation, centre of mass. A JPEG is decoded whole: OpenCV can do
so at a part of its size, but only if it is told before it knows the size.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

WORK_SIDE = 112
SIZE, BOX, CENTRE = 28, 20, 14
MIN_THRESHOLD = 10
MAX_FLAT_GRAIN = 6
MIN_AREA = 6
# As in service.paper, service.ink, service.focus and service.preprocessing.
RIM_WEIGHT = 0.6
CLOSING = 0.6
LINE, THICK = 0.6, 0.07
MAX_GAP, MIN_PART, OFF_MIDDLE_X, OFF_MIDDLE_Y, AT_RIM = 0.12, 0.04, 0.7, 0.5, 0.2
RAMP_START, RAMP_END = 0.6, 1.0
THIN, BOLD, STROKE_SIDE = 0.105, 0.19, 80

_SQUARE = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))


def normalise_with_opencv(picture: bytes) -> Grey | None:
    """Bytes of a picture -> uint8 `[28, 28]`, white ink on black; None where no ink is found or OpenCV gives up."""
    cv2.setNumThreads(1)
    try:
        grey: Any = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
        ink = None if grey is None else _find_ink(grey)
        return None if ink is None else _place(_bring_to_width(ink))
    except cv2.error:
        return None


def _find_ink(grey: Any) -> Grey | None:
    """The digit's ink, cut out along its box."""
    scale = max(grey.shape) / WORK_SIDE
    if scale > 1:
        size = max(1, round(grey.shape[1] / scale)), max(1, round(grey.shape[0] / scale))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    residue = _residue(grey)
    mask = _above_otsu(residue)
    # Otsu's threshold lies midway between the means of its classes; OpenCV's own is the least level that parts them.
    threshold = (cv2.mean(residue, mask)[0] + cv2.mean(residue, cv2.bitwise_not(mask))[0]) / 2
    if threshold < MIN_THRESHOLD:
        return None
    residue, mask = _without_lines(residue, mask)
    digit = _choose(mask)
    if digit is None:
        return None
    level = cv2.mean(residue, digit)[0]
    start = RAMP_START * threshold
    density = np.clip((residue.astype(np.float32) - start) * (255 / (RAMP_END * level - start + 1)), 0, 255)
    left, top, width, height = cv2.boundingRect(digit)
    inked = density.astype(np.uint8) * (cv2.dilate(digit, _SQUARE) > 0)
    return np.asarray(inked[top : top + height, left : left + width], np.uint8)


def _above_otsu(residue: Any) -> Any:
    return cv2.threshold(residue, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]


def _residue(grey: Any) -> Any:
    """How much darker than the paper each pixel is."""
    light = _above_otsu(grey)
    rim = np.concatenate((light[0], light[-1], light[:, 0], light[:, -1]))
    if np.mean(light == 0) + RIM_WEIGHT * np.mean(rim == 0) > 1:
        grey = 255 - grey
    side = max(3, int(max(grey.shape) * CLOSING) | 1)
    closed = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_RECT, (side, side)))
    paper = cv2.blur(closed, (side // 2 | 1, side // 2 | 1))
    residue = cv2.subtract(paper, grey)
    grain = int(np.median(residue))
    if grain > MAX_FLAT_GRAIN:
        residue = cv2.GaussianBlur(residue, (0, 0), 0.7)
    return cv2.subtract(residue, np.full_like(residue, grain))


def _without_lines(residue: Any, mask: Any) -> tuple[Any, Any]:
    height, width = mask.shape
    side = max(4, int(THICK * max(mask.shape)))
    thick = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    for size, gap in (((max(9, int(LINE * width)), 1), (1, 7)), ((1, max(9, int(LINE * height))), (7, 1))):
        line = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_RECT, size))
        line = cv2.subtract(line, cv2.morphologyEx(line, cv2.MORPH_OPEN, thick))
        if not line.any():
            continue
        rest = cv2.subtract(mask, cv2.dilate(line, _SQUARE))
        repaired = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_RECT, gap))
        residue = np.where((mask > 0) & (rest == 0) & (repaired == 0), np.uint8(0), residue)
        mask = cv2.bitwise_and(_above_otsu(residue), cv2.bitwise_or(rest, repaired))
    return residue, mask


def _choose(mask: Any) -> Any | None:
    """The component that is large and near the middle, with what lies close to it."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return None
    height, width = mask.shape
    left, top, wide, tall, area = statistics[1:].T
    right, bottom = left + wide, top + tall
    at_rim = (left == 0) | (top == 0) | (right == width) | (bottom == height)
    x, y = (left + right) / width - 1, (top + bottom) / height - 1
    weight = area * (1 - OFF_MIDDLE_X * x * x) * (1 - OFF_MIDDLE_Y * y * y)
    main = int((weight * np.where(at_rim & ~at_rim.all(), AT_RIM, 1.0)).argmax())
    if area[main] < MIN_AREA:
        return None
    box = [left[main], top[main], right[main], bottom[main]]
    kept = [main]
    for part in range(count - 1):
        apart = max(left[part] - box[2], box[0] - right[part], 0) + max(top[part] - box[3], box[1] - bottom[part], 0)
        if part == main or area[part] < MIN_PART * area[main] or (at_rim[part] and not at_rim[main]):
            continue
        if apart <= MAX_GAP * max(wide[main], tall[main]) + 1:
            kept.append(part)
            box = [
                min(box[0], left[part]),
                min(box[1], top[part]),
                max(box[2], right[part]),
                max(box[3], bottom[part]),
            ]
    return np.isin(labels, np.array(kept) + 1).astype(np.uint8)


def _bring_to_width(ink: Any) -> Any:
    outlines = cv2.findContours((ink > 127).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0]
    perimeter = sum(cv2.arcLength(outline, True) for outline in outlines)
    ratio = 2 * float(ink.sum()) / 255 / max(perimeter, 1.0) / max(ink.shape)
    widen, thin = round((THIN - ratio) * STROKE_SIDE / 2), round((ratio - BOLD) * STROKE_SIDE / 2)
    if widen <= 0 and thin <= 0:
        return ink
    ink = _resize(ink, STROKE_SIDE)
    if widen > 0:
        return cv2.dilate(np.pad(ink, widen), _SQUARE, iterations=widen)
    return cv2.erode(ink, _SQUARE, iterations=thin)


def _resize(ink: Any, side: int) -> Any:
    height, width = ink.shape
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(ink, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _place(ink: Any) -> Grey:
    """Fitted into 20x20, its centre of mass in the middle of 28x28."""
    fitted = _resize(ink, BOX).astype(np.float32)
    fitted *= 255 / max(float(fitted.max()), 1.0)
    height, width = fitted.shape
    moments = cv2.moments(fitted)
    mass = max(moments["m00"], 1.0)
    top = min(max(round(CENTRE - moments["m01"] / mass), 0), SIZE - height)
    left = min(max(round(CENTRE - moments["m10"] / mass), 0), SIZE - width)
    digit = np.zeros((SIZE, SIZE), np.uint8)
    digit[top : top + height, left : left + width] = np.rint(fitted)
    return digit
