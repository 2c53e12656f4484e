"""The column network: what stands in each column of a line of writing, a digit's middle or none.

    numbers written freely --the service's ink--> strips --packed end to end--> network --> ONNX

A space displacement neural network (O. Matan, C. Burges, Y. LeCun, J. Denker, "Multi-digit recognition using a space
displacement neural network", 1992): a convolutional reader of digits that slides along the line and needs no cuts.
Where each digit stands is known of strings that are made, so every frame has its own target.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from service.fields import DIGIT, HEIGHT, PAPER, STRIDE, Strip, TextLine, find_text_line
from training.export import OPSET
from training.freehand import TAUGHT, write_many
from training.shapes import Generator
from training.strings import Pool, String

# Target of frames that are left open; that of those that are no digit's middle is PAPER.
OPEN = -1
# Half of what is called a digit's middle, at least in pixels of the strip and as part of its width, up to a part of
# the way to its neighbour's; as far again the frames are left open.
MIDDLE, MIDDLE_PART, APART = 2.2, 0.2, 0.33
OPEN_ROOM = 1.5
# How far the height and the foot of the writing may be misjudged, in parts of the height.
MISJUDGED = 0.08, 0.04
# The least ink, as part of a full one, in the box of a digit that can be read.
LEAST_INK = 0.04


@dataclass(frozen=True, eq=False)
class Example:
    """A strip uint8 `[32, width]` and the target int8 `[width / 2]` of each frame."""

    strip: NDArray[np.uint8]
    targets: NDArray[np.int8]


def make_examples(count: int, pool: Pool, rng: Generator) -> list[Example]:
    """About `count` strings as the service sees them; those whose ink it cannot find are left out."""
    found = (make_example(string, rng) for string in write_many(count, pool, rng, TAUGHT))
    return [example for example in found if example is not None]


def make_example(string: String, rng: Generator) -> Example | None:
    """A string as the service sees it, its height and foot misjudged a little; None where its ink is not found."""
    line = find_text_line(Pictures.fromarray(string.picture))
    if line is None:
        return None
    height = line.height * float(np.exp(rng.normal(0, MISJUDGED[0])))
    strip = line.strip_at(height, line.found.base + line.height * float(rng.normal(0, MISJUDGED[1])))
    boxes = [_into_strip(line, strip, box) for box in string.boxes]
    if not all(_is_inked(strip, box) for box in boxes):
        return None
    return Example(strip.pixels, frame_targets([int(digit) for digit in string.text], boxes, strip.pixels.shape[1]))


def _into_strip(line: TextLine, strip: Strip, box: Sequence[int]) -> tuple[float, float]:
    """Left and right of a box of the picture, in columns of the strip."""
    left, right = ((edge - line.offset[0]) / line.scale for edge in (box[0], box[2]))
    return (left - strip.left) * strip.scale, (right - strip.left) * strip.scale


def _is_inked(strip: Strip, span: tuple[float, float]) -> bool:
    left, right = int(span[0]), int(np.ceil(span[1]))
    if left < 0 or right > strip.pixels.shape[1]:
        return False
    return float(strip.pixels[:, left:right].sum()) >= LEAST_INK * 255 * DIGIT * DIGIT


def frame_targets(digits: Sequence[int], spans: Sequence[tuple[float, float]], width: int) -> NDArray[np.int8]:
    """The target of each frame: a digit near the middle of its span, OPEN beside that, else PAPER."""
    centres = np.arange(width // STRIDE) * STRIDE + STRIDE / 2
    targets = np.full(len(centres), PAPER, np.int8)
    middles = np.array([(left + right) / 2 for left, right in spans])
    for index, (digit, (left, right)) in enumerate(zip(digits, spans, strict=True)):
        others = np.abs(np.delete(middles, index) - middles[index])
        nearest = float(others.min()) if len(others) else np.inf
        half = min(max(MIDDLE, MIDDLE_PART * (right - left)), APART * nearest)
        away = np.abs(centres - middles[index])
        targets[(away <= half + OPEN_ROOM) & (targets == PAPER)] = OPEN
        targets[away <= max(half, float(away.min()))] = digit
    between = np.round((middles[1:] + middles[:-1]) / 2 / STRIDE - 0.5).astype(int)
    targets[between[(between >= 0) & (between < len(targets))]] = PAPER
    return targets


def pack(examples: Sequence[Example], width: int) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Examples end to end in rows of one width: uint8 `[N, 32, width]` and int8 `[N, width / 2]`."""
    pixels, targets = [], []
    room = 0
    for example in examples:
        wide = example.strip.shape[1]
        if wide > width:
            continue
        if wide > room:
            pixels.append(np.zeros((HEIGHT, width), np.uint8))
            targets.append(np.full(width // STRIDE, OPEN, np.int8))
            room = width
        start = width - room
        pixels[-1][:, start : start + wide] = example.strip
        targets[-1][start // STRIDE : (start + wide) // STRIDE] = example.targets
        room -= wide
    return np.stack(pixels), np.stack(targets)


def build_columns() -> Any:
    """Float `[N, 32, width, 1]` in 0..1 -> logits `[N, 1, width / 2, 11]`: digits 0 to 9, and none."""
    from training.backend import keras

    layers = keras.layers

    def convolution(channels: int, kernel: tuple[int, int], padding: str = "same") -> list[Any]:
        bare = layers.Conv2D(channels, kernel, padding=padding, use_bias=False)
        return [bare, layers.BatchNormalization(), layers.ReLU()]

    return keras.Sequential(
        [
            keras.Input((HEIGHT, None, 1)),
            *convolution(16, (5, 5)),
            layers.MaxPooling2D((2, 2)),  # 16 rows, a column for each frame
            *convolution(24, (3, 3)),
            *convolution(32, (3, 3)),
            layers.MaxPooling2D((2, 1)),  # 8 rows
            *convolution(48, (3, 3)),
            *convolution(48, (3, 3)),
            layers.MaxPooling2D((2, 1)),  # 4 rows
            *convolution(64, (3, 3)),
            *convolution(96, (4, 1), "valid"),  # 1 row
            *convolution(96, (1, 5)),
            *convolution(96, (1, 3)),
            layers.Dropout(0.1),
            layers.Conv2D(11, 1),
        ],
        name="columns",
    )


def convert(model: Any) -> Any:
    """The ONNX graph of a network from uint8 `[N, 32, width]` to log probabilities `[N, width / 2, 11]`."""
    import tensorflow as tf
    import tf2onnx

    def answer(strip: Any) -> dict[str, Any]:
        scaled = tf.expand_dims(tf.cast(strip, tf.float32) * np.float32(1 / 255), -1)
        logits = tf.squeeze(model(scaled, training=False), 1)
        return {"log_probabilities": tf.nn.log_softmax(logits)}

    signature = [tf.TensorSpec((None, HEIGHT, None), tf.uint8, name="strip")]
    graph, _ = tf2onnx.convert.from_function(tf.function(answer), input_signature=signature, opset=OPSET)
    for value, names in ((graph.graph.input[0], ("N", None, "W")), (graph.graph.output[0], ("N", "T", None))):
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=True):
            if name:
                dimension.dim_param = name
    return graph
