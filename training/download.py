"""MNIST from its public mirrors: checked, resumed where the connection was cut, never half written.

A file grows as `NAME.part` and gets its name only once its MD5 sum is right. A mirror that fails is asked again from
where it stopped, then the next one is.
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.data import MNIST_MD5, QMNIST_LABELS, QMNIST_MD5, md5
from training.errors import DataError

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
QMNIST_MIRRORS = ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",)

ATTEMPTS = 3
TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 64 * 1024
_FAILURES = (OSError, http.client.HTTPException)


def download_mnist(folder: Path) -> list[str]:
    """Fill a folder with MNIST, and with QMNIST's labels where they can be had.

    Returns:
        A line for each file: what was done.

    Raises:
        DataError: an image or label file could not be had from any mirror.
    """
    lines = download(MNIST_MD5, MNIST_MIRRORS, folder)
    try:
        lines += download(QMNIST_MD5, QMNIST_MIRRORS, folder)
    except DataError as exc:
        lines.append(f"{exc}; without {QMNIST_LABELS} validation is split by class, not by writer")
    return lines


def download(files: Mapping[str, str], mirrors: Sequence[str], folder: Path) -> list[str]:
    """Download files (name -> MD5) that are not yet in the folder, asking the mirrors in turn.

    Raises:
        DataError: a file could not be had; the message tells what each mirror did.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, checksum in files.items():
        target = folder / name
        if target.is_file() and md5(target) == checksum:
            lines.append(f"{target}: already there")
            continue
        lines.append(f"{target}: downloaded from {_download_one(target, checksum, mirrors)}")
    return lines


def _download_one(target: Path, checksum: str, mirrors: Sequence[str]) -> str:
    failures = []
    for mirror in mirrors:
        try:
            _fetch(mirror + target.name, target, checksum)
        except _FAILURES as exc:
            failures.append(f"{mirror} {_in_words(exc)}")
        else:
            return mirror
    raise DataError(f"{target.name} could not be downloaded: {'; '.join(failures)}")


def _fetch(url: str, target: Path, checksum: str) -> None:
    part = target.with_name(target.name + ".part")
    was_there = part.exists()
    _complete(url, part)
    if was_there and md5(part) != checksum:
        part.unlink()  # what was there may have been the wrong half
        _complete(url, part)
    if (found := md5(part)) != checksum:
        part.unlink()
        raise OSError(f"sent a file with the MD5 {found}, not {checksum}")
    part.replace(target)


def _complete(url: str, part: Path) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _continue_part(url, part)
        except urllib.error.HTTPError:
            raise  # the server answered; asking again would not change its mind
        except _FAILURES:
            if attempt == ATTEMPTS:
                raise
        else:
            return


def _continue_part(url: str, part: Path) -> None:
    """Append what is missing; start over where the server ignores or refuses the range."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - our mirrors
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310 - our mirrors
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        part.unlink()  # longer than the file, or complete but wrong
        _continue_part(url, part)
        return
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        _append(response, part, have if resumed else 0)


def _append(response: Any, part: Path, have: int) -> None:
    from tqdm import tqdm

    length = response.headers.get("Content-Length")
    total = have + int(length) if length else None
    bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None)
    with part.open("r+b" if have else "wb") as file, bar:
        file.seek(have)
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
        done = file.tell()
    if total is not None and done < total:
        raise ConnectionError(f"closed the connection after {done} of {total} bytes")


def _in_words(failure: Exception) -> str:
    if isinstance(failure, urllib.error.HTTPError):
        return f"answered {failure.code}"
    if isinstance(failure, urllib.error.URLError):
        return f"cannot be reached ({failure.reason})"
    return str(failure) or type(failure).__name__
