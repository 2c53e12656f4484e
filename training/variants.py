"""One digit as people send it: file formats, colours, sizes, margins, orientations. Its label must stay the same."""

import io
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Digit = NDArray[np.uint8]
Colour = tuple[int, int, int]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
SIZES = (28, 32, 40, 48, 64, 100, 150, 300, 500, 1000, 2000)
MARGINS = (0.0, 0.2, 0.4, 0.6, 0.8)
# At 28 pixels a margin of 80 % would leave 6 pixels for the digit.
MARGINS_AT = {28: MARGINS[:4], 40: MARGINS, 64: MARGINS, 200: MARGINS, 600: MARGINS, 2000: MARGINS}
COLOURS: dict[str, Colour] = {"blue": (30, 50, 170), "red": (200, 30, 40), "grey": (120, 120, 120)}
_TURNED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
_PLAIN_SIZE = 280


def variants(digit: Digit) -> Iterator[tuple[str, bytes]]:
    """Name and file of every variant of a digit of MNIST, uint8 `[28, 28]`; `plain` comes first."""
    picture = _on_paper(digit, _PLAIN_SIZE)
    grey = picture.convert("L")
    yield "plain", _encode(grey, "PNG")
    for name, make in _FORMATS.items():
        yield name, make(picture)
    yield "RGBA on transparent", _transparent(digit)
    yield "MNIST's own pixels", _encode(Image.fromarray(digit), "PNG")
    for name, colour in COLOURS.items():
        yield f"{name} ink", _encode(_on_paper(digit, _PLAIN_SIZE, colour), "PNG")
    for orientation, turn in _TURNED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"EXIF orientation {orientation}", _encode(picture.transpose(turn), "JPEG", exif=exif, quality=90)
    for size in SIZES:
        yield f"{size} pixels", _encode(_on_paper(digit, size).convert("L"), "PNG", compress_level=1)
    for size, margins in MARGINS_AT.items():
        for margin in margins:
            framed = _on_paper(_with_margin(digit, size, margin), size).convert("L")
            yield f"{size} pixels, margin {margin:.0%}", _encode(framed, "PNG", compress_level=1)


def _encode(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def _sixteen_bits(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)


_FORMATS: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG of quality 60": lambda picture: _encode(picture, "JPEG", quality=60),
    "BMP": lambda picture: _encode(picture, "BMP"),
    "TIFF of 16 bits": lambda picture: _encode(_sixteen_bits(picture), "TIFF"),
    "PNG of 16 bits": lambda picture: _encode(_sixteen_bits(picture), "PNG"),
    "WebP": lambda picture: _encode(picture, "WEBP", quality=70),
    "palette GIF": lambda picture: _encode(picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=16), "GIF"),
    "CMYK JPEG": lambda picture: _encode(picture.convert("CMYK"), "JPEG", quality=90),
    "inverted": lambda picture: _encode(ImageOps.invert(picture.convert("L")), "PNG"),
}


def _on_paper(digit: Digit, size: int, ink: Colour = BLACK, paper: Colour = WHITE) -> Image.Image:
    mask = Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)
    return Image.composite(Image.new("RGB", mask.size, ink), Image.new("RGB", mask.size, paper), mask)


def _transparent(digit: Digit) -> bytes:
    mask = Image.fromarray(digit).resize((_PLAIN_SIZE, _PLAIN_SIZE), Image.Resampling.BICUBIC)
    picture = Image.new("RGBA", mask.size, (*BLACK, 0))
    picture.putalpha(mask)
    return _encode(picture, "PNG")


def _with_margin(digit: Digit, size: int, margin: float) -> Digit:
    """The digit alone, enlarged to fill a square of `size` but for `margin`, half of it on each side."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    alone = Image.fromarray(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = max(4, round(size * (1 - margin))) / max(alone.size)
    alone = alone.resize(
        (max(1, round(alone.width * scale)), max(1, round(alone.height * scale))), Image.Resampling.BICUBIC
    )
    page = Image.new("L", (size, size))
    page.paste(alone, ((size - alone.width) // 2, (size - alone.height) // 2))
    return np.asarray(page)
