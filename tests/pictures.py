"""Pictures that the tests draw themselves: digits as a pen would, and files that are broken on purpose."""

import io
import math
import random
import struct
import zipfile
import zlib

from PIL import Image, ImageChops, ImageDraw

Point = tuple[float, float]


def _arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> list[Point]:
    """Points of an ellipse from `start` to `end` degrees, clockwise from the right, y down."""
    steps = max(2, int(abs(end - start) / 8))
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(cx + rx * math.cos(angle), cy + ry * math.sin(angle)) for angle in angles]


# Strokes in a unit square, y down.
STROKES: dict[int, list[list[Point]]] = {
    0: [_arc(0.5, 0.5, 0.3, 0.46, -90, 270)],
    1: [[(0.52, 0.04), (0.48, 0.96)]],
    2: [[*_arc(0.5, 0.28, 0.28, 0.24, 190, 380), (0.24, 0.94)], [(0.24, 0.94), (0.82, 0.92)]],
    3: [_arc(0.46, 0.27, 0.28, 0.22, 200, 440) + _arc(0.46, 0.71, 0.32, 0.24, -80, 160)],
    4: [[(0.3, 0.06), (0.2, 0.56), (0.8, 0.52)], [(0.68, 0.1), (0.62, 0.96)]],
    5: [[(0.76, 0.06), (0.34, 0.08), (0.3, 0.44), *_arc(0.46, 0.68, 0.3, 0.26, -110, 140)]],
    6: [[(0.64, 0.04), (0.42, 0.24), (0.28, 0.54), *_arc(0.48, 0.72, 0.22, 0.22, 180, -180)]],
    7: [[(0.2, 0.08), (0.8, 0.08), (0.42, 0.96)]],
    8: [_arc(0.5, 0.27, 0.2, 0.21, 90, -270) + _arc(0.5, 0.72, 0.25, 0.24, -90, 270)],
    9: [[*_arc(0.48, 0.28, 0.22, 0.22, 0, -360), (0.7, 0.3), (0.66, 0.6), (0.58, 0.96)]],
}


def draw(
    digit: int,
    size: int = 120,
    *,
    ink: int | tuple[int, int, int] = 30,
    paper: int | tuple[int, int, int] = 250,
    margin: float = 0.2,
    pen: float = 0.09,
) -> Image.Image:
    """A digit on plain paper, drawn large and scaled down as a camera would; `pen` is relative to its height."""
    big = size * 4
    mode = "L" if isinstance(ink, int) else "RGB"
    image = Image.new(mode, (big, big), paper)
    canvas = ImageDraw.Draw(image)
    height = big * (1 - 2 * margin)
    width = max(1, round(height * pen))
    for stroke in STROKES[digit]:
        points = [(big * margin + x * height, big * margin + y * height) for x, y in stroke]
        canvas.line(points, fill=ink, width=width, joint="curve")
        for x, y in (points[0], points[-1]):
            canvas.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=ink)
    return image.resize((size, size), Image.Resampling.BOX)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(digit: int, **options: object) -> bytes:
    return encode(draw(digit, **options))  # type: ignore[arg-type]


def blank(size: int = 64) -> bytes:
    return encode(Image.new("L", (size, size), 245))


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds no pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff(digits: list[int], size: int = 120) -> bytes:
    """A TIFF of one page for each digit."""
    first, *rest = [draw(digit, size) for digit in digits]
    return encode(first, "TIFF", save_all=True, append_images=rest)


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def film(digit: int, width: int = 640, height: int = 480, frames: int = 5) -> bytes:
    """A sheet of paper with a digit before a camera: uncompressed video, YUV4MPEG2, that noise keeps alive."""
    generator = random.Random(digit)
    sheet = Image.new("L", (width, height), 205)
    sheet.paste(draw(digit, height * 6 // 10, paper=205, ink=50), (width // 2 - height * 3 // 10, height // 5))
    colourless = bytes([128]) * (width * height // 2)
    parts = [f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode()]
    for _ in range(frames):
        noise = Image.frombytes("L", (width, height), generator.randbytes(width * height)).point(lambda v: v // 32)
        parts += [b"FRAME\n", ImageChops.add(sheet, noise).tobytes(), colourless]
    return b"".join(parts)
