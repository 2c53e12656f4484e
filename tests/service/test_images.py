import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from service import images
from service.errors import InvalidImage, TooLarge
from tests.service.drawings import draw_digit, encode


def grey(data: bytes) -> np.ndarray:
    return np.asarray(images.decode(data).convert("L")).astype(int)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_listed_formats_decode_to_the_same_picture(kind: str) -> None:
    digit = draw_digit()
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.abs(grey(encode(digit, kind, **options)) - np.asarray(digit)).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "I", "F"])
def test_every_mode_comes_out_in_8_bits_with_the_same_greys(mode: str) -> None:
    digit = draw_digit(ink=0, paper=255)
    if mode in ("I;16", "I", "F"):
        samples = np.asarray(digit).astype(np.uint16) * 257
        image = Image.fromarray(samples if mode == "I;16" else samples.astype(np.int32 if mode == "I" else np.float32))
    else:
        image = digit.convert(mode)
    decoded = images.decode(encode(image, "TIFF"))
    assert decoded.mode in ("L", "RGB")
    assert np.abs(np.asarray(decoded.convert("L")).astype(int) - np.asarray(digit)).max() <= 1


def test_twelve_bits_in_sixteen_are_read_by_their_depth() -> None:
    digit = draw_digit(ink=0, paper=255)
    scan = Image.fromarray(np.asarray(digit).astype(np.uint16) * 16)
    assert grey(encode(scan, "TIFF")).max() > 240


def test_grain_of_blank_16_bit_paper_is_not_stretched_to_ink() -> None:
    grain = np.random.default_rng(0).normal(60_000, 300, (64, 64)).astype(np.uint16)
    assert np.ptp(grey(encode(Image.fromarray(grain), "PNG"))) < 20


def test_cmyk_jpeg_keeps_dark_ink_dark() -> None:
    digit = draw_digit()
    decoded = grey(encode(digit.convert("RGB").convert("CMYK"), "JPEG", quality=95))
    assert np.abs(decoded - np.asarray(digit)).mean() < 6


@pytest.mark.parametrize(
    ("ink", "paper_is_light"), [((0, 0, 0), True), ((255, 255, 255), False), ((20, 40, 200), True)]
)
def test_strokes_on_transparency_get_paper_they_show_on(ink: tuple[int, int, int], paper_is_light: bool) -> None:
    strokes = Image.new("RGBA", (100, 100), (*ink, 0))
    strokes.putalpha(draw_digit(ink=255, paper=0))
    corner = images.decode(encode(strokes)).getpixel((0, 0))
    assert corner == ((255, 255, 255) if paper_is_light else (0, 0, 0))


def test_transparent_corners_of_a_photo_take_the_colour_of_its_paper() -> None:
    photo = draw_digit(paper=200).convert("RGBA")
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (0, 0, 12, 12))
    photo.putalpha(alpha)
    assert images.decode(encode(photo)).getpixel((3, 3)) == (200, 200, 200)


def test_transparent_colour_of_a_palette_is_paper() -> None:
    palette = draw_digit(ink=0, paper=255).convert("P")
    transparent = palette.getpixel((0, 0))
    assert images.decode(encode(palette, "GIF", transparency=transparent)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    digit = draw_digit(7)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how a camera so held would have stored it
    stored = digit.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else digit
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.abs(grey(encode(stored, "PNG", exif=exif)) - np.asarray(digit)).max() == 0


def test_the_first_frame_of_an_animation_counts() -> None:
    first, second = draw_digit(7).convert("P"), draw_digit(1).convert("P")
    data = encode(first, "GIF", save_all=True, append_images=[second])
    assert np.abs(grey(data) - np.asarray(first.convert("L"))).max() <= 1


def test_large_jpeg_is_decoded_at_a_reduced_size() -> None:
    data = encode(draw_digit(size=3000), "JPEG")
    assert min(images.decode(data).size) in range(images.DRAFT_SIDE, 2 * images.DRAFT_SIDE + 2)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "LAB", "I;16", "I", "F"])
def test_large_pictures_of_every_mode_are_reduced_as_their_averages(mode: str) -> None:
    digit = draw_digit(ink=0, paper=255, size=1500)
    if mode in ("I;16", "I", "F"):
        samples = np.asarray(digit).astype(np.uint16) * 257
        image = Image.fromarray(samples if mode == "I;16" else samples.astype(np.int32 if mode == "I" else np.float32))
    elif mode == "LAB":
        image = Image.merge("LAB", (digit, Image.new("L", digit.size, 128), Image.new("L", digit.size, 128)))
    else:
        image = digit.convert(mode)
    decoded = images.decode(encode(image, "TIFF"))
    assert decoded.size == (375, 375)
    assert np.abs(np.asarray(decoded.convert("L")).astype(int) - np.asarray(digit.reduce(4))).max() <= 2


def test_a_large_picture_is_turned_upright_too() -> None:
    digit = draw_digit(7, size=1500)
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = grey(encode(digit.transpose(Image.Transpose.ROTATE_90), exif=exif))
    assert np.abs(decoded - np.asarray(digit.reduce(4))).max() <= 1


def test_very_long_pictures_are_reduced_to_a_bounded_number_of_pixels() -> None:
    width, height = images.decode(encode(Image.new("1", (60_000, 300), 1))).size
    assert width * height < 2 * images.DRAFT_PIXELS


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("TIFF", "F"), ("WEBP", "RGBA")])
def test_decoding_holds_few_copies_of_a_large_picture(kind: str, mode: str) -> None:
    """In bytes a pixel: four in the picture as Pillow decodes it, WebP's library four such; strips on top."""
    side = 2000
    data = encode(Image.new("L", (side, side)).convert(mode), kind, **{"lossless": True} if kind == "WEBP" else {})
    script = (
        "import resource, sys\n"
        "from service import images\n"
        "data = sys.stdin.buffer.read()\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        "images.decode(data)\n"
        "print(peak() - before)"
    )
    run = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True)
    assert int(run.stdout) < (22 if kind == "WEBP" else 8) * side * side


def test_less_of_a_webp_is_allowed_since_it_decodes_in_whole() -> None:
    picture = draw_digit(size=100)
    assert images.decode(encode(picture), max_pixels=10_000)
    with pytest.raises(TooLarge, match="at most 5000 pixels of a WebP"):
        images.decode(encode(picture, "WEBP"), max_pixels=10_000)


def test_pixel_limit_is_checked_on_the_full_size_before_decoding() -> None:
    header = encode(Image.new("1", (6000, 6000)))[:60]  # cut: decoding it would fail, not exceed
    with pytest.raises(TooLarge, match="6000 x 6000"):
        images.decode(header, max_pixels=20_000_000)
    with pytest.raises(TooLarge):
        images.decode(encode(draw_digit(size=3000), "JPEG"), max_pixels=1_000_000)


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"not a picture", b"<svg/>", b"%PDF-1.7", bytes(1000)])
def test_what_is_no_picture_is_refused_without_a_word_of_the_library(data: bytes) -> None:
    with pytest.raises(InvalidImage) as refused:
        images.decode(data)
    assert "0x" not in refused.value.detail
    assert "PIL" not in refused.value.detail


def test_a_format_not_listed_is_refused() -> None:
    with pytest.raises(InvalidImage, match="allowed formats are PNG, JPEG, BMP, GIF, TIFF, WebP"):
        images.decode(encode(draw_digit(), "PPM"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_truncated_pictures_are_refused(kind: str) -> None:
    data = encode(draw_digit(size=200), kind)
    with pytest.raises(InvalidImage):
        images.decode(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_corrupt_pictures_are_read_or_refused_and_nothing_else(kind: str) -> None:
    data = encode(draw_digit(size=60), kind)
    rng = np.random.default_rng(0)
    for _ in range(150):
        corrupt = bytearray(data)
        for position in rng.integers(0, len(data), 8):
            corrupt[position] = rng.integers(256)
        try:
            decoded = images.decode(bytes(corrupt), max_pixels=1_000_000)
        except (InvalidImage, TooLarge):
            continue
        assert decoded.mode in ("L", "RGB")


def test_broken_metadata_do_not_make_a_picture_unreadable() -> None:
    digit = draw_digit()
    data = encode(digit, "PNG", exif=b"Exif\x00\x00MM\x00*" + struct.pack(">I", 60_000))
    assert np.abs(grey(data) - np.asarray(digit)).max() == 0


def tiff_of(count: int) -> bytes:
    first, *others = [draw_digit(digit) for digit in (1, 4, 5, 7)[:count]]
    return encode(first, "TIFF", save_all=True, append_images=others)


def test_pages_of_a_tiff_come_in_order_and_decode_when_read() -> None:
    pages = list(images.pages(tiff_of(3), max_pages=3))
    for page, digit in reversed(list(zip(pages, (1, 4, 5), strict=True))):
        assert np.abs(np.asarray(images.decode(page)).astype(int) - np.asarray(draw_digit(digit))).max() == 0


def test_more_pages_than_allowed_are_too_large() -> None:
    with pytest.raises(TooLarge, match="more than 2 pages"):
        list(images.pages(tiff_of(3), max_pages=2))


def test_pages_of_another_format_are_refused() -> None:
    with pytest.raises(InvalidImage, match="allowed formats are TIFF"):
        list(images.pages(encode(draw_digit()), max_pages=2))
