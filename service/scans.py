"""The pictures that `digits predict` is asked to read: files, folders, patterns and standard input."""

import glob
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.listing import printable

# In a folder, files that do not look like pictures are left out; what is named is read, whatever its name.
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"})

STANDARD_INPUT = "-"


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
            with self.path.open("rb") as file:
                return _read(file, limit)
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            raise Unreadable(f"cannot be opened: {reason}") from exc


def _read(file: BinaryIO, limit: int) -> bytes:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise Unreadable(f"has more than {limit} bytes; at most that many are allowed")
    return data


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
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
