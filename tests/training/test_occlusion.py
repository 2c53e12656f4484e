import numpy as np
import pytest
from numpy.typing import NDArray

from training.occlusion import occlusion_map


def by_left_upper_ink(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A reader that says 7 by the ink in one corner alone."""
    ink = images[:, 4:8, 4:8].mean(axis=(1, 2)) / 255
    probabilities = np.full((len(images), 10), 0.02, np.float32)
    probabilities[:, 7] = 0.1 + 0.8 * ink
    return probabilities / probabilities.sum(axis=1, keepdims=True), np.zeros(len(images), np.float32)


def test_the_map_shows_the_part_that_decided_and_no_other() -> None:
    lost = occlusion_map(by_left_upper_ink, np.full((28, 28), 255, np.uint8))
    assert lost.shape == (28, 28)
    row, column = np.unravel_index(lost.argmax(), lost.shape)
    assert 4 <= row < 8
    assert 4 <= column < 8
    assert lost[14:, :].max() == pytest.approx(0)
    # A patch over the whole corner takes all the lead that its ink gave.
    assert lost.max() <= np.log(0.9 / 0.1) + 1e-5
