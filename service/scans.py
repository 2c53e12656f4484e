"""The pictures that `digits predict` is asked to read: files, folders, patterns and standard input."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from service.listing import printable

# In a folder, files that do not look like pictures are left out; what is named is read, whatever its name.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"})

STANDARD_INPUT = "-"
_CHUNK_BYTES = 256 * 1024


class Unreadable(Exception):
    """A file that cannot be opened, or has more bytes than allowed."""


@dataclass(frozen=True)
class Scan:
    """A picture yet to be read; no path stands for standard input."""

    path: Path | None

    @property
    def name(self) -> str:
        return STANDARD_INPUT if self.path is None else printable(self.path)

    def load(self, limit: int) -> bytes:
        """The bytes of the picture. Raises Unreadable."""
        try:
            if self.path is None:
                return _read(sys.stdin.buffer, limit)
            # Unbuffered: a buffer takes longer to set up than a scan of a digit to read.
            with self.path.open("rb", buffering=0) as file:
                return _read(file, limit)
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            raise Unreadable(f"cannot be opened: {reason}") from exc


def _read(file: FileIO | BinaryIO, limit: int) -> bytes:
    chunks, total = [], 0
    while chunk := file.read(_CHUNK_BYTES):
        chunks.append(chunk)
        total += len(chunk)
        if total > limit:
            raise Unreadable(f"has more than {limit} bytes; at most that many are allowed")
    return b"".join(chunks)


def find(names: Iterable[str]) -> Iterator[Scan]:
    """Files as they are named; of folders, the pictures in them and below; of patterns, what they match."""
    for name in names:
        if name == STANDARD_INPUT:
            yield Scan(None)
            continue
        for path in _matches(name):
            if path.is_dir():
                yield from (Scan(file) for file in _inside(path))
            else:
                yield Scan(path)


def _matches(name: str) -> list[Path]:
    """A shell resolves patterns itself; the one of Windows does not, and quotes keep others from it."""
    if glob.has_magic(name) and not Path(name).exists():
        matches = glob.glob(name, recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
        return [Path(match) for match in sorted(matches)] or [Path(name)]
    return [Path(name)]


def _inside(folder: Path) -> list[Path]:
    found = (os.path.join(here, name) for here, _, names in os.walk(folder) for name in names)  # noqa: PTH118
    # As text: making a path of each file costs more than opening it.
    return [Path(name) for name in sorted(found) if os.path.splitext(name)[1].lower() in SUFFIXES]  # noqa: PTH122
