"""Real handwriting: scikit-learn's 1,797 digits of 43 writers, and MNIST where it lies beside the checkout."""

from pathlib import Path

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from service.reader import Reader, Reading
from tests import pictures


def test_digits_of_other_writers_are_read(reader: Reader) -> None:
    """The 8x8 pictures of the UCI optical digits, enlarged; no picture of theirs was trained on."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = [Image.fromarray(np.rint(255 - image * (255 / 16)).astype(np.uint8)) for image in digits.images]
    uploads = [pictures.encode(image.resize((64, 64), Image.Resampling.BICUBIC)) for image in small]
    read = [result.digit if isinstance(result, Reading) else None for result in reader.read(uploads)]
    assert np.mean(np.array(read, dtype=float) == digits.target) >= 0.97


def test_mnist_over_http_is_read_as_evaluation_says_and_hardly_worse_than_as_arrays(
    client: TestClient, reader: Reader, shared: Path
) -> None:
    """What is measured is what is served: all 10,000 test digits as PNG uploads in batches of 256."""
    from training.data import load_dataset
    from training.evaluate import encode_png, evaluate_uploads

    test = load_dataset(shared / "mnist").test
    hits = 0
    for start in range(0, len(test), 256):
        files = [("files", (f"{start}.png", encode_png(image))) for image in test.images[start : start + 256]]
        answer = client.post("/predict/batch", files=files).json()
        read = [result["prediction"]["digit"] for result in answer["results"]]
        hits += sum(digit == label for digit, label in zip(read, test.labels[start : start + 256], strict=True))
    over_http = hits / len(test)
    assert over_http == evaluate_uploads(reader.classifier, test)["accuracy"]
    as_arrays = np.mean(reader.classifier.predict(test.images)[0].argmax(axis=1) == test.labels)
    assert over_http >= as_arrays - 0.001
