"""Real handwriting: scikit-learn's 1,797 digits of 43 writers, and real photos where they lie beside the checkout."""

import numpy as np
from PIL import Image

from service.reader import Reader, Reading
from tests import pictures


def test_digits_of_other_writers_are_read(reader: Reader) -> None:
    """The 8x8 pictures of the UCI optical digits, enlarged; no picture of theirs was trained on."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = [Image.fromarray(np.rint(255 - image * (255 / 16)).astype(np.uint8)) for image in digits.images]
    uploads = [pictures.encode(image.resize((64, 64), Image.Resampling.BICUBIC)) for image in small]
    read = [result.digit if isinstance(result, Reading) else None for result in reader.read(uploads)]
    assert np.mean(np.array(read, dtype=float) == digits.target) >= 0.88
