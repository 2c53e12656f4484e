"""What is not a digit, drawn by code: the pictures of the label `NOT_A_DIGIT`.

A family is one way of not being a digit. Those in `HELD_OUT` are never trained on: how well they are told from
digits says how the reject output does on what it has not seen.

Letters that people themselves cannot tell from a digit are left out (`LOOK_ALIKES`), as are the pieces of digits
that are digits again (the upper half of an 8 is a 0, the right half of a 4 is a 1) and upright bars, which are ones.
"""

# ruff: noqa: RUF001 - letters of three alphabets look alike; here that is the point

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from service.ink import find_ink
from service.preprocessing import SIZE, normalize
from training.drawing import (
    CANVAS,
    Image,
    draw,
    draw_path,
    enlarge,
    random_writer,
    scan,
    smooth,
    smooth_noise,
    to_mnist,
)
from training.shapes import Generator, Stroke, arc

NOT_A_DIGIT = 10

# Latin, Greek and Cyrillic letters, and signs, by the digit that they are taken for.
LOOK_ALIKES = {0: "OoQDC⌂", 1: "IiljJ", 2: "Zz", 3: "ξζЗзэ∃", 4: "yYЧч", 5: "Ss", 6: "Gbбσδ", 8: "Bβ", 9: "gqρ"}

# MNIST's digits and labels, uint8 `[N, 28, 28]` and `[N]`, that halves, pairs and struck digits are made of.
Digits = tuple[Image, Image]


def make_negatives(
    count: int, digits: Digits, rng: Generator, families: Sequence[str] | None = None
) -> tuple[Image, NDArray[np.str_]]:
    """`count` pictures that are no digit, of the families (by default all that are trained on).

    Returns uint8 images `[count, 28, 28]` in MNIST's geometry, and the family of each.
    """
    names = list(families or TRAINED)
    shares = np.array([_SHARES.get(name, 1.0) for name in names])
    chosen = rng.choice(np.array(names), count, p=shares / shares.sum())
    return np.stack([make_negative(str(name), digits, rng) for name in chosen]), chosen


def make_negative(family: str, digits: Digits, rng: Generator) -> Image:
    """One picture of a family, uint8 `[28, 28]`."""
    while True:
        canvas = FAMILIES[family](digits, rng)
        if canvas.shape == (SIZE, SIZE):
            return canvas
        image = to_mnist(scan(canvas, rng))
        if image is not None and not is_thin_upright(image):
            return image


def is_thin_upright(image: Image) -> bool:
    """Whether it could be a 1: narrow, or a line that is steeper than 30 degrees."""
    ink = (image > 64).astype(np.uint8)
    _, _, width, height = cv2.boundingRect(ink)
    if width < 0.42 * height:
        return True
    corners = cv2.boxPoints(cv2.minAreaRect(cv2.findNonZero(ink))) if ink.any() else np.zeros((4, 2))
    sides = corners[1:3] - corners[:2]
    short, long = sorted(sides, key=lambda side: float(np.hypot(*side)))
    return bool(np.hypot(*short) < 0.35 * np.hypot(*long) and abs(long[1]) > 0.58 * abs(long[0]))


# --- strokes ----------------------------------------------------------------------------------------------------------


def draw_scribble(_digits: Digits, rng: Generator) -> Image:
    """One to three strokes to and fro."""
    writer = random_writer(rng)
    writer = replace(writer, pen=0.7 * writer.pen)
    restless = rng.random() < 0.4
    strokes: list[Stroke] = []
    for _ in range(rng.integers(1, 4)):
        points = rng.uniform(0, 1, (rng.integers(5, 14), 2))
        if restless:  # from side to side, as one blackens a field
            points[:, 0] = np.where(np.arange(len(points)) % 2, points[:, 0] * 0.3, 0.7 + points[:, 0] * 0.3)
            points[:, 1].sort()
        strokes.append([(float(x), float(y)) for x, y in points])
    return draw(strokes, writer, rng)


def draw_tick(_digits: Digits, rng: Generator) -> Image:
    low = (rng.uniform(0.2, 0.4), 1.0)
    stroke: Stroke = [(0, rng.uniform(0.45, 0.8)), low, low, (rng.uniform(0.8, 1.4), rng.uniform(0, 0.2))]
    return draw([stroke], random_writer(rng), rng)


def draw_cross(_digits: Digits, rng: Generator) -> Image:
    """A diagonal cross as in a box to be ticked, sometimes doubled."""
    width = rng.uniform(0.6, 1.2)
    strokes: list[Stroke] = [[(0, 0), (width, 1)], [(width, rng.uniform(-0.1, 0.1)), (rng.uniform(-0.1, 0.1), 1)]]
    if rng.random() < 0.2:
        strokes.append([(0, 0.5), (width, 0.5)])
    return draw(strokes, random_writer(rng), rng)


def draw_dashes(_digits: Digits, rng: Generator) -> Image:
    """One to three dashes, level or slanted alike, or a few dots."""
    writer = random_writer(rng)
    if rng.random() < 0.3:
        dots: list[Stroke] = [
            [(x, y), (x + 0.02, y + 0.02)] for x, y in rng.uniform(0, 1, (rng.integers(2, 5), 2)).tolist()
        ]
        return draw(dots, writer, rng)
    tilt, width = rng.normal(0, 0.15), rng.uniform(0.7, 1.2)
    count = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    strokes: list[Stroke] = [
        [(0, 0.3 * row), (width / 2, 0.3 * row + tilt / 2 + rng.normal(0, 0.03)), (width, 0.3 * row + tilt)]
        for row in range(count)
    ]
    return draw(strokes, writer, rng)


def draw_doodle(_digits: Digits, rng: Generator) -> Image:
    """Signs that are none: polygons, rings with something in them, strokes and arcs put together at random."""
    return draw(_DOODLES[rng.integers(len(_DOODLES))](rng), random_writer(rng), rng)


def _polygon(rng: Generator) -> list[Stroke]:
    """Five to eight corners, crossing itself or not, sometimes with a stroke through it."""
    angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(5, 9)))
    if rng.random() < 0.4:
        rng.shuffle(angles)
    radii = rng.uniform(0.25, 0.5, len(angles))
    corners = [
        (0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for a, r in zip(angles.tolist(), radii.tolist(), strict=True)
    ]
    outline = [point for point in [*corners, corners[0]] for _ in range(2)]
    return [outline, *_pieces(rng, int(rng.integers(0, 2)), 0.5)]


def _ringed(rng: Generator) -> list[Stroke]:
    """A ring around two to four small strokes."""
    ring = arc((0.5, 0.5), (rng.uniform(0.4, 0.6), 0.5), rng.uniform(0, 360), rng.uniform(330, 380), 12)
    return [ring, *_pieces(rng, int(rng.integers(2, 5)), 0.3)]


def _assembled(rng: Generator) -> list[Stroke]:
    return _pieces(rng, int(rng.integers(3, 7)), rng.uniform(0.4, 0.7))


def _pieces(rng: Generator, count: int, spread: float) -> list[Stroke]:
    """Straight strokes, arcs and hooks around the middle of the box, some shaped by chance."""
    strokes: list[Stroke] = []
    for _ in range(count):
        x, y = rng.uniform(0.5 - spread / 2, 0.5 + spread / 2, 2)
        if rng.random() < 0.45:
            strokes.append(
                arc(
                    (x, y),
                    (rng.uniform(0.08, 0.4) * spread, rng.uniform(0.08, 0.4) * spread),
                    rng.uniform(0, 360),
                    rng.uniform(90, 400),
                    8,
                )
            )
            continue
        points = np.array([x, y]) + rng.normal(0, 0.35 * spread, (rng.integers(2, 4), 2))
        strokes.append([(float(u), float(v)) for u, v in points])
    return strokes


_DOODLES: list[Callable[[Generator], list[Stroke]]] = [_polygon, _ringed, _assembled]


def draw_attached(_digits: Digits, rng: Generator) -> Image:
    """A ring with things on its outside: barred or forked stems, or stems in two or three directions."""
    radius = rng.uniform(0.16, 0.32) * np.array([np.exp(rng.normal(0, 0.15)), 1.0])
    ring = arc((0.5, 0.5), (float(radius[0]), float(radius[1])), rng.uniform(0, 360), rng.uniform(340, 380), 12)
    strokes: list[Stroke] = [ring]
    count = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    first = rng.uniform(0, 2 * math.pi)
    for angle in first + np.arange(count) * rng.uniform(0.9, 2.1):
        strokes += _stem(radius, float(angle), rng, bare=count > 1 and rng.random() < 0.7)
    return draw(strokes, random_writer(rng), rng)


def _stem(radius: NDArray[np.float64], angle: float, rng: Generator, *, bare: bool) -> list[Stroke]:
    """A stem from a ring's rim outwards; unless it is bare, crossed in its middle or forked at its end."""
    way = np.array([math.cos(angle), math.sin(angle)])
    across = np.array([-way[1], way[0]])
    start = 0.5 + way * radius
    length, half = rng.uniform(0.25, 0.6), rng.uniform(0.08, 0.2)
    end = start + way * length
    strokes = [[start, end]]
    if not bare and rng.random() < 0.5:
        middle = start + way * length * rng.uniform(0.35, 0.7)
        strokes.append([middle - across * half, middle + across * half])
    elif not bare:
        back = end - way * half * rng.choice([-1, 1])
        strokes.append([back - across * half, end, end, back + across * half])
    return [[(float(x), float(y)) for x, y in stroke] for stroke in strokes]


# A letter per line, its strokes in a box of height 1, as `x,y` with `*` behind a corner.
_STROKE_LETTERS = """
A 0,1 .35,0* .7,1; .12,.62 .58,.62
E .6,.02 .05,0* .05,.5 .05,1* .65,.98; .05,.5 .5,.48
F .6,.02 .05,0* .05,1; .05,.48 .5,.46
H 0,0 0,1; .6,0 .6,1; 0,.5 .6,.48
K 0,0 0,1; .6,0 .05,.55* .65,1
M 0,1 .08,0* .4,.7* .72,0* .8,1
N 0,1 .02,0* .6,1* .62,0
P .05,1 .05,0* .45,.05 .55,.28 .35,.5 .06,.52
R .05,1 .05,0* .45,.05 .5,.28 .3,.48 .06,.5* .6,1
T 0,0 .75,0; .38,0 .38,1
U 0,0 .02,.7 .3,1 .58,.7 .6,0
V 0,0 .3,1* .62,0
W 0,0 .22,1* .42,.3* .62,1* .85,0
X 0,0 .65,1; .65,0 0,1
a .62,.1 .3,0 .02,.4 .15,.95 .45,.8 .62,.1* .62,.8 .75,1
e .05,.5 .6,.42 .4,0 .05,.4 .2,.95 .65,.85
h 0,0 .02,1* .05,.6 .35,.45 .52,.65 .55,1
k 0,0 .02,1; .5,.35 .05,.68* .55,1
m 0,0 .03,1* .1,.3 .3,.05 .4,.4 .42,1* .5,.3 .68,.05 .8,.4 .82,1
n 0,0 .03,1* .12,.3 .4,.02 .6,.3 .62,1
r 0,0 .04,1* .1,.4 .3,.08 .5,.12
t .25,0 .22,.8 .35,1 .55,.9; 0,.32 .5,.3
u 0,0 .02,.7 .25,1 .5,.75 .55,0* .57,.8 .7,1
w 0,0 .12,.9 .3,.95 .4,.3* .5,.9 .68,.95 .8,0
x 0,0 .6,1; .6,0 0,1
f .5,.08 .3,0 .22,.3 .2,1; 0,.42 .45,.4
p 0,.1 .03,1* .05,.3 .3,0 .5,.2 .35,.5 .06,.48
alpha .8,0 .55,.55 .25,1 .02,.6 .22,.05 .5,.45 .8,1
alpha .95,.05 .7,.3 .4,.85 .12,.95 .02,.5 .15,.08 .42,.15 .72,.75 .95,.95
alpha .7,.05 .5,.5 .3,1 .05,.85 .02,.3 .2,.02 .4,.4 .55,.95 .7,.9
alpha .55,.0 .45,.4 .22,1 .02,.75 .08,.25 .28,.2 .42,.6 .6,1
alpha .9,.0 .6,.5* .3,1 .02,.7 .05,.25 .3,.05 .6,.5* .9,1
gamma 0,.2 .18,0 .36,.3 .4,.7 .28,1 .2,.75 .4,.4 .72,.02
gamma 0,.0 .3,.55 .3,.9 .2,1 .14,.85 .3,.55 .62,0
lambda 0,.0 .2,.08 .42,.55 .6,.95 .75,1; .38,.48 .2,.8 0,1
lambda .05,.05 .2,0 .35,.3 .5,.75 .62,1; .36,.35 .15,.75 .0,.98
gamma 0,.05 .2,.05 .4,.5 .35,.95 .25,.9 .4,.5 .75,0
gamma 0,.1 .15,0 .38,.5 .42,.8 .3,1 .2,.85 .35,.55 .7,0
gamma 0,0 .3,.45* .6,0; .3,.45 .3,1
gamma 0,.2 .12,.02 .25,.15 .35,.5* .6,0; .35,.5 .3,1
lambda .02,.02 .15,.02 .4,.5 .65,1; .36,.42 .05,1
lambda .1,0 .3,.4 .6,1 .7,.95; .32,.42 0,1
pi 0,.12 .2,.02 .85,.04; .25,.06 .2,.6 .1,1; .6,.06 .58,.8 .75,1
theta .35,0 .08,.2 .05,.7 .3,1 .6,.75 .6,.25 .35,0; .06,.5 .6,.48
theta .42,0 .1,.2 .05,.75 .35,1 .75,.8 .78,.25 .42,0; .08,.5 .4,.46 .76,.5
epsilon .6,.1 .3,0 .12,.2 .35,.45* .05,.7 .25,1 .65,.9
tau 0,.1 .15,.02 .8,.02; .4,.03 .35,.8 .5,1
nu 0,0 .12,.05 .3,1* .55,.5 .6,0
chi 0,.05 .15,.02 .5,1 .65,.95; .62,0 0,1
rho 0,1 .03,.4 .25,0 .5,.25 .3,.55 .06,.45
kappa .03,0 0,1; .5,.02 .05,.5* .3,.6 .55,1
mu .1,0 .05,.6 0,1* .08,.62 .35,.7 .5,.5 .55,0* .55,.6 .7,.7
omega .15,0 0,.5 .15,1 .38,.9 .42,.4* .46,.9 .7,1 .85,.5 .7,0
phi .3,.3 .05,.45 .1,.75 .4,.78 .6,.55 .5,.28 .3,.3; .4,0 .28,1
psi 0,.1 .05,.5 .35,.6 .65,.45 .7,.08; .38,0 .33,1
eta 0,.1 .08,.05 .1,.7* .18,.2 .4,.08 .48,.35 .45,1
sigma .7,0 .05,0* .4,.48* .02,1* .72,.98
delta .35,0 .7,1* 0,1* .35,0
"""


@cache
def _stroke_letters() -> list[list[Stroke]]:
    return [
        [_parse_stroke(part) for part in line.split(" ", 1)[1].split(";")]
        for line in _STROKE_LETTERS.strip().splitlines()
    ]


def _parse_stroke(text: str) -> Stroke:
    points: Stroke = []
    for token in text.split():
        x, y = token.rstrip("*").split(",")
        points += [(float(x), float(y))] * (2 if token.endswith("*") else 1)
    return points


def draw_stroke_letter(_digits: Digits, rng: Generator) -> Image:
    """A Latin or Greek letter as a hand writes it."""
    letters = _stroke_letters()
    writer = random_writer(rng)
    return draw(letters[rng.integers(len(letters))], replace(writer, jitter=writer.jitter * 1.3), rng)


# --- letters of fonts -------------------------------------------------------------------------------------------------

_FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Italic.ttf",
    "DejaVuSansMono.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralItalic.ttf",
)
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzΓΔΘΛΞΠΣΦΨΩαβγδεζηθικλμνξπρστυφχψωЖДЛШЩЮЯФПЦЗЧ"
LETTERS = "".join(letter for letter in _ALPHABET if letter not in "".join(LOOK_ALIKES.values()))


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    import matplotlib as mpl

    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), round(0.72 * CANVAS))


def draw_font_letter(_digits: Digits, rng: Generator) -> Image:
    """A letter of one of matplotlib's fonts, slanted, turned, thinner or broader."""
    return _print(LETTERS[rng.integers(len(LETTERS))], str(rng.choice(_FONTS)), rng)


def _print(character: str, font: str, rng: Generator) -> Image:
    side = round(1.3 * CANVAS)
    page = PillowImage.new("L", (side, side))
    ImageDraw.Draw(page).text((side / 2, side / 2), character, 255, _font(font), anchor="mm")
    return _change_weight(_by_hand(np.asarray(page), rng), rng)


def _by_hand(page: Image, rng: Generator) -> Image:
    """Slant, turn, squeeze and bend a page."""
    turn, slant = rng.normal(0, 0.12), rng.normal(0.1, 0.2)
    linear = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]) @ [
        [np.exp(rng.normal(0, 0.15)), slant],
        [0, 1],
    ]
    middle = np.array(page.shape[::-1]) / 2
    rows, columns = np.indices(page.shape, np.float32)
    x, y = columns - middle[0], rows - middle[1]
    bend = [rng.uniform(0, 4) * smooth_noise(page.shape, 5, rng) for _ in range(2)]
    map_x = (linear[0, 0] * x + linear[0, 1] * y + middle[0] + bend[0]).astype(np.float32)
    map_y = (linear[1, 0] * x + linear[1, 1] * y + middle[1] + bend[1]).astype(np.float32)
    return np.asarray(cv2.remap(page, map_x, map_y, cv2.INTER_LINEAR), np.uint8)


def _change_weight(page: Image, rng: Generator) -> Image:
    thinner = rng.random() < 0.25
    size = int(rng.integers(2, 4 if thinner else 7))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    changed = cv2.erode(page, kernel) if thinner else cv2.dilate(page, kernel)
    return np.asarray(changed, np.uint8) if changed.any() else page


# --- made of digits ---------------------------------------------------------------------------------------------------

# A part of a digit may enclose this share of its box: the rim of a loop, not a ring.
MAX_ENCLOSED = 0.04
# The sides of a digit that are no digit by themselves, however it slants.
_HALVES = {
    0: ("top", "bottom"),
    2: ("top", "bottom"),
    3: ("left",),
    4: ("top",),
    5: ("top",),
    6: ("right",),
    7: ("left",),
}


def cut_digit(digits: Digits, rng: Generator) -> Image:
    """A part of a digit, cut straight through the middle third, that encloses nothing: what does is a small 0."""
    while True:
        part = _cut_once(digits, rng)
        if _enclosed(part) < MAX_ENCLOSED:
            return part


def _enclosed(canvas: Image) -> float:
    """Share of the ink's box that the ink encloses."""
    inner = np.pad(_cropped(canvas), 1) > 127
    outside = np.zeros((inner.shape[0] + 2, inner.shape[1] + 2), np.uint8)
    filled = inner.astype(np.uint8)
    cv2.floodFill(filled, outside, (0, 0), 1)
    return float((filled == 0).mean())


def _cut_once(digits: Digits, rng: Generator) -> Image:
    images, labels = digits
    while True:
        index = rng.integers(len(labels))
        if sides := _HALVES.get(int(labels[index])):
            break
    canvas = enlarge(images[index])
    left, top, width, height = cv2.boundingRect(canvas)
    part = rng.uniform(0.35, 0.55)
    side = str(rng.choice(sides))
    if side in ("left", "right"):
        edge = left + round(width * (part if side == "left" else 1 - part))
        rest = canvas[:, edge:] if side == "left" else canvas[:, :edge]
    else:
        edge = top + round(height * (part if side == "top" else 1 - part))
        rest = canvas[edge:] if side == "top" else canvas[:edge]
    rest[:] = 0
    return canvas


def join_digits(digits: Digits, rng: Generator) -> Image:
    """Two digits in one cell, touching or apart, whole or with part of the second."""
    one = _cropped(enlarge(_pick(digits, rng)))
    while True:
        two = _cropped(enlarge(_pick(digits, rng)))
        if rng.random() < 0.4:
            two = two[:, : max(1, round(two.shape[1] * rng.uniform(0.55, 1)))]
        # Something narrow beside a digit may as well be left of a ruling or a neighbour: that is still a digit.
        if two.shape[1] > 0.35 * two.shape[0]:
            break
    if rng.random() < 0.5:
        one, two = two, one
    gap, drop = int(rng.integers(-8, 14)), int(rng.integers(0, 16))
    canvas = np.zeros((2 * CANVAS, 3 * CANVAS), np.uint8)
    canvas[20 : 20 + one.shape[0], 20 : 20 + one.shape[1]] = one
    x = max(20, 20 + one.shape[1] + gap)
    place = canvas[20 + drop : 20 + drop + two.shape[0], x : x + two.shape[1]]
    np.maximum(place, two, out=place)
    return canvas


def strike_digit(digits: Digits, rng: Generator) -> Image:
    """A digit struck through: twice, crosswise, by a zigzag, or once where that is no way to write another digit."""
    images, labels = digits
    index = rng.integers(len(labels))
    canvas = enlarge(images[index])
    left, top, width, height = cv2.boundingRect(canvas)
    size = np.array([max(width, 36), height], np.float64)
    origin = np.array([left + width / 2, top + height / 2]) - size / 2
    writer = replace(random_writer(rng), pen=rng.uniform(4, 12))
    crossed_once = labels[index] in (2, 3, 5, 6, 9) and rng.random() < 0.25
    for stroke in _strikes(rng, once=crossed_once):
        path = smooth(origin + np.asarray(stroke) * size)
        draw_path(canvas, path, writer, rng)
    return canvas


def _strikes(rng: Generator, *, once: bool) -> list[Stroke]:
    """Strokes over a box of 1x1, beyond its sides."""
    out = rng.uniform(0.1, 0.35)
    if once:
        return [[(-out, 0.5 + rng.uniform(0.2, 0.6)), (1 + out, 0.5 - rng.uniform(0.2, 0.6))]]
    form = rng.random()
    if form < 0.3:
        tilt = rng.normal(0, 0.2)
        return [[(-out, y + tilt), (1 + out, y - tilt)] for y in (rng.uniform(0.25, 0.45), rng.uniform(0.55, 0.75))]
    if form < 0.6:
        return [
            [(-out, -out / 2), (1 + out, 1 + out / 2)],
            [(1 + out, rng.uniform(-0.1, 0.1)), (-out, 1 + rng.uniform(-0.1, 0.1))],
        ]
    count = int(rng.integers(5, 11))
    heights = np.linspace(rng.uniform(0, 0.3), rng.uniform(0.7, 1), count) + rng.normal(0, 0.06, count)
    return [[(float(-out if step % 2 else 1 + out), float(heights[step])) for step in range(count)]]


def _pick(digits: Digits, rng: Generator) -> Image:
    image: Image = digits[0][rng.integers(len(digits[1]))]
    return image


def _cropped(canvas: Image) -> Image:
    left, top, width, height = cv2.boundingRect(canvas)
    return canvas[top : top + height, left : left + width]


# --- forms, paper, and no handwriting at all --------------------------------------------------------------------------


def draw_frame(_digits: Digits, rng: Generator) -> Image:
    """What is left of cells: corners, crossings, doubled lines, parts of a grid."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    thick = int(rng.integers(1, 7))
    low, high = rng.integers(6, 40, 2), rng.integers(70, 106, 2)
    sides = [
        ((low[0], low[1]), (high[0], low[1])),
        ((low[0], high[1]), (high[0], high[1])),
        ((low[0], low[1]), (low[0], high[1])),
        ((high[0], low[1]), (high[0], high[1])),
    ]
    middle = int(rng.integers(45, 65))
    sides += [((low[0], middle), (high[0], middle)), ((middle, low[1]), (middle, high[1]))]
    # A single upright line is a 1; at least one level line is among those drawn.
    chosen = [sides[i] for i in rng.choice([0, 1, 4], rng.integers(1, 3), replace=False)]
    chosen += [sides[i] for i in rng.choice([2, 3, 5], rng.integers(0, 3), replace=False)]
    for start, end in chosen:
        wobble = rng.normal(0, 1, 2).round().astype(int)
        cv2.line(
            canvas,
            (int(start[0]), int(start[1])),
            (int(end[0] + wobble[0]), int(end[1] + wobble[1])),
            255,
            thick,
            cv2.LINE_AA,
        )
    return canvas


def draw_blob(_digits: Digits, rng: Generator) -> Image:
    """Spots and filled shapes: stamps, holes, blots."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    for _ in range(rng.integers(1, 4)):
        angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(5, 14)))
        radius = rng.uniform(12, 36) * np.exp(rng.normal(0, rng.choice([0.05, 0.35]), len(angles)))
        centre = rng.uniform(36, 76, 2)
        outline = centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None] * (
            1,
            np.exp(rng.normal(0, 0.15)),
        )
        cv2.fillPoly(
            canvas, [np.rint(smooth(np.concatenate([outline, outline[:1]]))).astype(np.int32)], 255, cv2.LINE_AA
        )
    return canvas


def draw_body(_digits: Digits, rng: Generator) -> Image:
    """A filled lens, box or wedge, mostly longer than wide, lit from one side: things that lie about."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    for _ in range(int(rng.choice([1, 2], p=[0.75, 0.25]))):
        centre, length = rng.uniform(40, 72, 2), rng.uniform(24, 46)
        wide, turn, form = length * rng.uniform(0.35, 0.9), rng.uniform(0, 2 * math.pi), rng.random()
        if form < 0.4:
            angles = np.linspace(0, 2 * math.pi, 24)
        elif form < 0.7:
            angles = np.array([1, 3, 5, 7]) * math.pi / 4
        else:
            angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 6)))
        outline = np.stack([length * np.cos(angles), wide * np.sin(angles)], axis=1)
        turned = outline @ np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        cv2.fillPoly(canvas, [np.rint(centre + turned).astype(np.int32)], 255, cv2.LINE_AA)
    light = np.indices((CANVAS, CANVAS)) - CANVAS / 2
    shade = 1 + np.tensordot(rng.normal(0, 0.012, 2), light, 1)
    return np.asarray(np.clip(canvas * np.clip(shade, 0.3, 1), 0, 255), np.uint8)


def draw_filled(_digits: Digits, rng: Generator) -> Image:
    """Discs that touch, or a disc or a nearly filled ring with two or three stems: clovers, notes, beetles."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    middle, size = CANVAS // 2, int(rng.integers(12, 22))
    if rng.random() < 0.5:
        first, count = rng.uniform(0, 2 * math.pi), int(rng.integers(3, 5))
        for angle in first + np.arange(count) * 2 * math.pi / count + rng.normal(0, 0.2, count):
            centre = round(middle + size * math.cos(angle)), round(middle + size * math.sin(angle))
            cv2.circle(canvas, centre, round(size * rng.uniform(0.8, 1.1)), 255, -1, cv2.LINE_AA)
        return canvas
    axes = size, round(size * rng.uniform(0.65, 1))
    cv2.ellipse(canvas, (middle, middle), axes, rng.uniform(-30, 30), 0, 360, 255, -1, cv2.LINE_AA)
    if rng.random() < 0.3:
        cv2.circle(canvas, (middle, middle), size // 3, 0, -1, cv2.LINE_AA)
    for angle in rng.uniform(0, 2 * math.pi, rng.integers(2, 4)).tolist():
        foot = round(middle + axes[1] * rng.choice([-1, 1])), middle
        end = round(foot[0] + 48 * math.cos(angle)), round(foot[1] + 48 * math.sin(angle))
        cv2.line(canvas, foot, end, 255, int(rng.integers(3, 10)), cv2.LINE_AA)
    return canvas


def draw_noise(_digits: Digits, rng: Generator) -> Image:
    """Grains of every size and density, over the whole field or fading to its rim."""
    form = rng.random()
    if form < 0.3:
        noise: NDArray[Any] = rng.normal(rng.uniform(0, 120), rng.uniform(30, 120), (SIZE, SIZE))
    elif form < 0.5:
        noise = 255.0 * (rng.random((SIZE, SIZE)) < rng.uniform(0.03, 0.6))
    else:
        noise = (smooth_noise((SIZE, SIZE), int(rng.integers(5, 20)), rng) - rng.uniform(-0.5, 1)) * rng.uniform(
            60, 400
        )
    if rng.random() < 0.4:
        rows, columns = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
        noise = noise * np.exp(-((rows**2 + columns**2) / (2 * rng.uniform(5, 10) ** 2)))
    return np.asarray(np.clip(noise, 0, 255), np.uint8)


def draw_texture(_digits: Digits, rng: Generator) -> Image:
    """Hatching, chequers, halftone, gradients: printed backgrounds and security paper."""
    rows, columns = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    angle, period = rng.uniform(0, math.pi), rng.uniform(2.5, 9)
    bend = rng.uniform(0, 1.5) * smooth_noise((SIZE, SIZE), 4, rng)
    along = (columns * math.cos(angle) + rows * math.sin(angle)) * 2 * math.pi / period + bend
    across = (rows * math.cos(angle) - columns * math.sin(angle)) * 2 * math.pi / (
        period * rng.uniform(0.7, 1.5)
    ) + bend
    form = rng.random()
    if form < 0.35:
        wave = np.sin(along)
    elif form < 0.65:
        wave = np.sin(along) * np.sin(across)
    elif form < 0.85:
        wave = np.maximum(np.sin(along), np.sin(across))
    else:
        wave = along / np.abs(along).max()
    values = (wave - rng.uniform(-0.6, 0.6)) * rng.uniform(100, 500)
    return np.asarray(np.clip(values, 0, 255), np.uint8)


# --- held out ---------------------------------------------------------------------------------------------------------


def draw_shape(_digits: Digits, rng: Generator) -> Image:
    """Drawn figures: star, triangle, square, arrow, house, spiral, wave, heart, smiley, hash, asterisk."""
    shapes = _shapes(rng)
    return draw(shapes[rng.integers(len(shapes))], random_writer(rng), rng)


def _shapes(rng: Generator) -> list[list[Stroke]]:
    star = _corners(
        [(0.5 + 0.5 * math.sin(k * 4 * math.pi / 5), 0.5 - 0.5 * math.cos(k * 4 * math.pi / 5)) for k in range(6)]
    )
    triangle = _corners([(0.5, 0), (1, 0.9), (0, 0.9), (0.5, 0)])
    square = _corners([(0, 0), (0.9, 0), (0.9, 0.9), (0, 0.9), (0, 0)])
    roof = _corners([(0, 0.45), (0.45, 0), (0.9, 0.45)])
    walls = _corners([(0.1, 0.4), (0.1, 1), (0.8, 1), (0.8, 0.4), (0.1, 0.4)])
    arrow = [_corners([(0, 0.5), (1, 0.5)]), _corners([(0.65, 0.2), (1, 0.5), (0.65, 0.8)])]
    turns = np.linspace(0, rng.uniform(4.5, 6.5) * math.pi, 26)
    spiral = [
        (0.5 + 0.5 * r * math.cos(t), 0.5 + 0.5 * r * math.sin(t))
        for r, t in zip(np.linspace(0.05, 1, 26).tolist(), turns.tolist(), strict=True)
    ]
    wave = [(x, 0.5 + 0.3 * math.sin(x * 12)) for x in np.linspace(0, 1.5, 22).tolist()]
    heart: Stroke = [
        (0.5, 0.25),
        (0.5, 0.25),
        (0.25, 0),
        (0, 0.3),
        (0.5, 1),
        (0.5, 1),
        (1, 0.3),
        (0.75, 0),
        (0.5, 0.25),
        (0.5, 0.25),
    ]
    smiley = [
        arc((0.5, 0.5), (0.5, 0.5), 0, 365, 13),
        [(0.33, 0.33), (0.35, 0.36)],
        [(0.66, 0.33), (0.67, 0.36)],
        arc((0.5, 0.55), (0.25, 0.2), 20, 140, 5),
    ]
    hash_sign: list[Stroke] = [
        [(0.3, 0), (0.2, 1)],
        [(0.7, 0), (0.6, 1)],
        [(0, 0.33), (0.95, 0.3)],
        [(0, 0.68), (0.9, 0.66)],
    ]
    asterisk: list[Stroke] = [
        [(0.5 - 0.5 * math.cos(a), 0.5 - 0.5 * math.sin(a)), (0.5 + 0.5 * math.cos(a), 0.5 + 0.5 * math.sin(a))]
        for a in (0.5, 1.55, 2.6)
    ]
    return [[star], [triangle], [square], [roof, walls], arrow, [spiral], [wave], [heart], smiley, hash_sign, asterisk]


def _corners(points: Stroke) -> Stroke:
    return [point for point in points for _ in range(2)]


_SYMBOLS = "@#%€£¥¶©®∑√∞≈≠±÷♥♦♣♠★☆☎♪♫→←⇒⇔∀∇⊕⊗☺☼♀♂"


def draw_symbol(_digits: Digits, rng: Generator) -> Image:
    """A sign of mathematics, money or ornament, of a font."""
    return _print(_SYMBOLS[rng.integers(len(_SYMBOLS))], "DejaVuSans.ttf", rng)


def draw_word(_digits: Digits, rng: Generator) -> Image:
    """Two to four letters side by side, as "no" or "n/a" in the field of a number."""
    letters, count = _stroke_letters(), int(rng.integers(2, 5))
    strokes: list[Stroke] = []
    x = 0.0
    for letter in (letters[rng.integers(len(letters))] for _ in range(count)):
        size = rng.uniform(0.7, 1)
        strokes += [[(x + size * u, 1 - size * (1 - v)) for u, v in stroke] for stroke in letter]
        x += size * max(u for stroke in letter for u, _ in stroke) + rng.uniform(0.03, 0.3)
    writer = random_writer(rng)
    return draw(strokes, replace(writer, pen=max(3.5, writer.pen * 2 / count)), rng)


def draw_scene(_digits: Digits, rng: Generator) -> Image:
    """A photograph of something else: lit bodies before a background, in grey, cropped somewhere.

    One in which the service finds nothing but an upright bar is left out: that is how a 1 is written.
    """
    while True:
        scene = _photograph(rng)
        if not _shows_a_bar(scene):
            return scene


def _shows_a_bar(scene: Image) -> bool:
    large = cv2.resize(scene, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    read = normalize(find_ink(PillowImage.fromarray(large)))
    return read is not None and is_thin_upright(read)


def _photograph(rng: Generator) -> Image:
    rows, columns = np.indices((CANVAS, CANVAS)) / CANVAS
    light = rng.normal(0, 1, 2)
    scene = (
        rng.uniform(0, 160)
        + 60 * (light[0] * rows + light[1] * columns)
        + rng.uniform(0, 20) * smooth_noise((CANVAS, CANVAS), 5, rng)
    )
    for _ in range(rng.integers(2, 7)):
        centre, radius, turn = rng.uniform(0, 1, 2), rng.uniform(0.05, 0.45, 2), rng.uniform(0, math.pi)
        u = ((rows - centre[0]) * math.cos(turn) + (columns - centre[1]) * math.sin(turn)) / radius[0]
        v = ((columns - centre[1]) * math.cos(turn) - (rows - centre[0]) * math.sin(turn)) / radius[1]
        inside = u**2 + v**2 < 1 if rng.random() < 0.5 else (np.abs(u) < 1) & (np.abs(v) < 1)
        scene = np.where(inside, rng.uniform(0, 255) + 50 * (light[0] * u + light[1] * v), scene)
    small = cv2.resize(scene.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small - rng.uniform(0, 60), 0, 255), np.uint8)


FAMILIES: dict[str, Callable[[Digits, Generator], Image]] = {
    "scribble": draw_scribble,
    "tick": draw_tick,
    "cross": draw_cross,
    "dashes": draw_dashes,
    "doodle": draw_doodle,
    "attached": draw_attached,
    "stroke_letter": draw_stroke_letter,
    "font_letter": draw_font_letter,
    "half": cut_digit,
    "two_digits": join_digits,
    "struck": strike_digit,
    "frame": draw_frame,
    "blob": draw_blob,
    "body": draw_body,
    "filled": draw_filled,
    "noise": draw_noise,
    "texture": draw_texture,
    "shape": draw_shape,
    "symbol": draw_symbol,
    "scene": draw_scene,
    "word": draw_word,
}
# `shape` and `symbol` were looked at when families were added to the trained ones; `word` was measured after that.
HELD_OUT = ("shape", "symbol", "scene", "word")
# Relative to 1: families with many kinds of pictures in them are drawn more often.
_SHARES = {
    "stroke_letter": 4.0,
    "attached": 1.5,
    "font_letter": 2.0,
    "doodle": 2.0,
    "half": 1.5,
    "two_digits": 1.5,
    "struck": 1.5,
    "noise": 0.5,
    "texture": 0.5,
}
TRAINED = tuple(family for family in FAMILIES if family not in HELD_OUT)
