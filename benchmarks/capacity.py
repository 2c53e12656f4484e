"""What one core reads: images per second of CPU, and the memory that takes, of a running service with one worker.

    digits serve &
    python benchmarks/capacity.py http://localhost:8000

Counted in the service's own CPU time (`process_cpu_seconds_total`), so that neither the client nor other programs on the
machine distort the figure; a core that is busy all the time reads so many images per second. The pictures are digits
drawn here. k8s/README.md plans with the printed figures.
"""

import base64
import http.client
import io
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests import pictures


def main(url: str) -> None:
    address = urlsplit(url).netloc
    small = [pictures.encode(pictures.draw(digit, 28, ink=230, paper=10)) for digit in range(10)]
    cells = [pictures.encode(pictures.draw(digit, 120)) for digit in range(10)]
    photos = [pictures.encode(pictures.draw(digit, 1000), "JPEG", quality=85) for digit in range(10)]
    print(f"{'what':44} {'bytes':>8} {'images':>7} {'images per CPU second':>22} {'resident MiB':>13}")
    for what, images, count in (
        ("PNG 28x28, one a request", small, 4000),
        ("PNG 120x120, one a request", cells, 4000),
        ("JPEG 1000x1000, one a request", photos, 200),
    ):
        report(address, what, images, [("/predict", images[index % 10], 1) for index in range(count)])
    batch = json.dumps({"images": [{"image": base64.b64encode(cells[index % 10]).decode()} for index in range(64)]})
    report(address, "PNG 120x120, 64 a request", cells, [("/predict/batch", batch.encode(), 64)] * 60)
    largest = [pictures.encode(Image.new("RGB", (5000, 4000), (240, 240, 240)))]
    report(address, "PNG of 20 megapixels, four at a time", largest, [("/predict", largest[0], 1)] * 40)


def report(address: str, what: str, images: list[bytes], requests: list[tuple[str, bytes, int]]) -> None:
    send(address, requests[: len(requests) // 10])
    before, _ = usage(address)
    send(address, requests)
    after, resident = usage(address)
    count = sum(images for _, _, images in requests)
    size = sum(map(len, images)) // len(images)
    print(f"{what:44} {size:8} {count:7} {count / (after - before):22.0f} {resident / 2**20:13.0f}")


def send(address: str, requests: list[tuple[str, bytes, int]]) -> None:
    """Send the requests over four connections."""

    def some(part: list[tuple[str, bytes, int]]) -> None:
        connection = http.client.HTTPConnection(address)
        for path, body, _ in part:
            kind = "application/json" if body.startswith(b"{") else "application/octet-stream"
            connection.request("POST", path, body, {"Content-Type": kind})
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, [requests[start::4] for start in range(4)]))


def usage(address: str) -> tuple[float, float]:
    """CPU seconds and resident bytes of the service."""
    connection = http.client.HTTPConnection(address)
    connection.request("GET", "/metrics")
    text = io.TextIOWrapper(connection.getresponse()).read()
    values = dict(re.findall(r"^(process_\w+) (\S+)$", text, re.M))
    return float(values["process_cpu_seconds_total"]), float(values["process_resident_memory_bytes"])


if __name__ == "__main__":
    main(sys.argv[1])
