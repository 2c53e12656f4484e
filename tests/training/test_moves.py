import numpy as np

from tests.training.digits import draw_digits
from training.moves import move, moved
from training.recipe import Recipe


def test_moved_digits_stay_whole_and_near() -> None:
    digits = draw_digits(200)
    changed = move(digits.images, np.random.default_rng(0))
    assert changed.shape == digits.images.shape
    assert changed.dtype == np.uint8
    ratio = changed.sum(axis=(1, 2)) / digits.images.sum(axis=(1, 2))
    assert 0.75 < ratio.min() < ratio.max() < 1.3  # zoomed by a tenth along each axis
    rows = np.arange(28)
    centres = [(images.sum(axis=2) @ rows) / images.sum(axis=(1, 2)) for images in (digits.images, changed)]
    assert 1.5 < np.abs(centres[0] - centres[1]).max() < 4


def test_without_randomness_nothing_changes() -> None:
    class Middle:
        """A generator that always draws the middle."""

        def uniform(self, low: float, high: float, size: object) -> np.ndarray:
            return np.full(size, (low + high) / 2)

    images = draw_digits(20).images
    assert np.array_equal(move(images, Middle()), images)


def test_every_digit_comes_once_with_its_label() -> None:
    digits = draw_digits(50)
    batches = list(moved(digits, Recipe("cnn_887k", batch_size=16), np.random.default_rng(0)))
    assert [len(batch.labels) for batch in batches] == [16, 16, 16, 2]
    assert np.bincount(np.concatenate([batch.labels for batch in batches])).tolist() == [5] * 10
