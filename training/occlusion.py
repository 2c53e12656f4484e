"""Which part of a digit decided: the answer's probability while a patch of paper hides one place after another.

Source: M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", 2014.
"""

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Predict

PATCH = 5  # pixels
STRIDE = 1


def occlusion_map(predict: Predict, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much of the answer's probability is lost where the picture is covered.

    Args:
        predict: the model.
        image: uint8 `[28, 28]`.

    Returns:
        float32 `[28, 28]`: for each pixel the mean loss over the patches that cover it; negative where covering helped.
    """
    size = len(image)
    corners = [(y, x) for y in range(0, size - PATCH + 1, STRIDE) for x in range(0, size - PATCH + 1, STRIDE)]
    covered = np.repeat(image[np.newaxis], len(corners) + 1, axis=0)
    for picture, (y, x) in zip(covered[1:], corners, strict=True):
        picture[y : y + PATCH, x : x + PATCH] = 0
    probabilities, _ = predict(covered)
    answer = probabilities[0].argmax()
    lost = probabilities[0, answer] - probabilities[1:, answer]
    total, count = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    for (y, x), value in zip(corners, lost, strict=True):
        total[y : y + PATCH, x : x + PATCH] += value
        count[y : y + PATCH, x : x + PATCH] += 1
    return total / count
