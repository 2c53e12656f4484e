"""Which part of a digit decided: the answer's lead while a patch of paper hides one place after another.

The lead is the logarithm of how many times more probable the answer is than the next best; unlike the probability
itself it also moves where the network stays sure.

Source: M. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", 2014.
"""

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Predict

PATCH = 5  # pixels
STRIDE = 1


def occlusion_map(predict: Predict, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much of the answer's lead is lost where the picture is covered.

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
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    lead = logarithms[:, answer] - np.delete(logarithms, answer, axis=1).max(axis=1)
    lost = lead[0] - lead[1:]
    total, count = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    for (y, x), value in zip(corners, lost, strict=True):
        total[y : y + PATCH, x : x + PATCH] += value
        count[y : y + PATCH, x : x + PATCH] += 1
    return total / count
