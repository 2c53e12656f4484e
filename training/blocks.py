"""What a section of the report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Table:
    """Cells as texts; all columns but the first are set to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Code:
    """Commands to type."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Picture:
    """A PNG file, with what there is to see in it; `link` is where it lies seen from the Markdown, empty if not there."""

    path: Path
    caption: str
    link: str = ""


def named(model: Mapping[str, Any]) -> str:
    """Which model figures were measured with: its version, and the first of its file's sha256."""
    return f"{model['version']} (sha256 {model['sha256'][:12]}...)"


Block = Text | Table | Code | Picture


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: Sequence[Block]
