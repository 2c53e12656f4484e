"""The official client of the Open Inference Protocol against a running service: is it answered what `/predict` answers?

    digits serve &
    python -m venv /tmp/client && /tmp/client/bin/pip install 'tritonclient[http]' pillow
    /tmp/client/bin/python benchmarks/openinference_client.py data http://localhost:8000

A program of its own, since the client needs an older ml_dtypes than training does. It sends the first 100 MNIST test
digits in the four ways the client knows and prints the largest difference of a probability for each.
"""

import base64
import gzip
import io
import json
import sys
import urllib.request
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from PIL import Image

DIGITS = 100


def main(folder: Path, url: str) -> None:
    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as file:
        digits = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:DIGITS]
    uploads = [encode(digit) for digit in digits]
    expected, seen = predict(url, uploads)
    client = triton.InferenceServerClient(url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    metadata = client.get_model_metadata("digits")
    assert client.get_model_metadata("digits", metadata["versions"][0]) == metadata
    print(json.dumps(client.get_server_metadata()))
    print(json.dumps(metadata))
    pictures = np.array(uploads, dtype=np.object_)
    encoded = np.array([base64.b64encode(upload) for upload in uploads], dtype=np.object_)
    for way, tensor, binary in (
        ("pictures, binary", pictures, True),
        ("pictures, JSON", encoded, False),
        ("digits as /predict normalised them, binary", seen, True),
        ("digits as /predict normalised them, JSON", seen, False),
    ):
        differences = np.abs(infer(client, tensor, binary=binary) - expected)
        print(f"{way}: n={len(tensor)}, largest difference {differences.max():.3g}")


def encode(digit: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(digit).save(buffer, "PNG")
    return buffer.getvalue()


def predict(url: str, uploads: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that `/predict` gives, and the 28x28 it saw."""
    probabilities, seen = [], []
    for upload in uploads:
        with urllib.request.urlopen(f"{url}/predict?include=image", upload) as response:
            answer = json.load(response)
        probabilities.append(answer["probabilities"])
        seen.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["image"])))))
    return np.array(probabilities, np.float32), np.stack(seen)


def infer(client: triton.InferenceServerClient, tensor: np.ndarray, *, binary: bool) -> np.ndarray:
    datatype = "BYTES" if tensor.dtype == np.object_ else "UINT8"
    image = triton.InferInput("image", list(tensor.shape), datatype)
    image.set_data_from_numpy(tensor, binary_data=binary)
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary)
    result = client.infer("digits", [image], outputs=[wanted], request_id="c17")
    assert result.get_response()["id"] == "c17"
    return result.as_numpy("probabilities")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
