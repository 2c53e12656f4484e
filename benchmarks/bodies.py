"""Request bodies for wrk: the pictures raw, as forms, in JSON, one or many to a request."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BOUNDARY = "benchmark"
_TYPES = {
    "raw": "image/png",
    "form": f"multipart/form-data; boundary={BOUNDARY}",
    "JSON": "application/json",
}


@dataclass(frozen=True)
class Bodies:
    """Bodies in files, which a listing names one a line, the labels of each one's pictures, and their content type."""

    listing: Path
    labels: Sequence[Sequence[int]]
    content_type: str


def write_bodies(paths: Sequence[Path], form: str, items: int, folder: Path) -> Bodies:
    """Put `items` pictures into each body, of the form "raw", "form" or "JSON"; a picture is in one of them."""
    folder.mkdir(parents=True)
    bodies, labels = [], []
    for start in range(0, len(paths) - items + 1, items):
        group = paths[start : start + items]
        body = folder / f"{start:05}"
        body.write_bytes(_body(group, form, single=items == 1))
        bodies.append(str(body))
        labels.append([int(path.stem.split("-")[1]) for path in group])
    listing = folder / "listing.txt"
    listing.write_text("\n".join(bodies) + "\n")
    return Bodies(listing, labels, _TYPES[form])


def _body(paths: Sequence[Path], form: str, *, single: bool) -> bytes:
    if form == "raw":
        [path] = paths
        return path.read_bytes()
    if form == "form":
        parts = [_part("file" if single else "files", path) for path in paths]
        return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    images = [{"id": path.stem, "image": base64.b64encode(path.read_bytes()).decode()} for path in paths]
    return json.dumps({"image": images[0]["image"]} if single else {"images": images}).encode()


def _part(field: str, path: Path) -> bytes:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{path.name}"\r\n'
        "Content-Type: image/png\r\n\r\n"
    )
    return head.encode() + path.read_bytes() + b"\r\n"
