"""The shapes people write digits in, as strokes: also those of hands that MNIST has none of.

A stroke is a list of control points, x to the right and y down, in a box of height 1. A point given twice is a corner.
Each digit has a function that picks one of its shapes and varies it; `training.drawing` puts it on paper.
"""

import math
from collections.abc import Callable

import numpy as np

Point = tuple[float, float]
Stroke = list[Point]
Generator = np.random.Generator


def arc(centre: Point, radius: Point, start: float, sweep: float, points: int = 10) -> Stroke:
    """Control points along an ellipse; angles in degrees, 0 right, 90 down, 270 up."""
    angles = np.radians(start + sweep * np.arange(points) / (points - 1))
    x, y = centre[0] + radius[0] * np.cos(angles), centre[1] + radius[1] * np.sin(angles)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def zero(rng: Generator) -> list[Stroke]:
    """Closed, overlapping, flat or open at the top; slashed, with a curl inside, or with a stroke that leads away."""
    rx = rng.uniform(0.45, 0.85) if rng.random() < 0.1 else rng.uniform(0.22, 0.45)
    form = rng.random()
    if form < 0.1:  # begun and ended at its foot, the pen coming from the left or leading on to the right, or both
        ring = arc((0.4, 0.5), (rx, 0.5), rng.uniform(60, 105), rng.choice([-1, 1]) * rng.uniform(340, 385), 11)
        foot = 1 + rng.normal(0, 0.04)
        reaches = rx * rng.uniform(0.5, 1.4, 2)
        before: Stroke = [(0.4 - reaches[0], foot)] if rng.random() < 0.5 else []
        after: Stroke = [(0.4 + reaches[1], foot + rng.normal(0, 0.03))] if not before or rng.random() < 0.6 else []
        return [[*before, *ring, *after]]
    if form < 0.24:  # closed at its right, from where the pen goes on to the next digit
        ring = arc((0.4, 0.5), (rx, 0.5), rng.uniform(-75, 10), -rng.uniform(350, 385), 11)
        edge, drop = 0.4 + rx, rng.uniform(0.35, 1.02)
        end = (edge + rng.uniform(0.02, 0.3), drop + rng.normal(0, 0.02))
        return [[*ring, (edge + rng.normal(0.02, 0.04), 0.3 + 0.4 * drop), end]]
    turning = -1 if rng.random() < 0.8 else 1
    sweep = turning * (rng.uniform(290, 335) if rng.random() < 0.15 else rng.uniform(345, 400))
    ring = arc((0.4, 0.5), (rx, 0.5), rng.uniform(235, 320), sweep, 11)
    if form < 0.36:
        ring += [(0.4 + rx * 0.9, 0.06 + rng.normal(0, 0.04)), (0.4 + rx * rng.uniform(1.1, 1.6), rng.normal(0, 0.06))]
    elif form < 0.43:
        ring += [
            (0.4 + rng.uniform(-0.1, 0.2), rng.uniform(0.12, 0.25)),
            (0.4 + rx * rng.uniform(0.2, 0.8), rng.uniform(0.08, 0.2)),
        ]
    if rng.random() < 0.14:
        reach = rng.uniform(0.6, 1.25)
        rise = reach * (0.36 if rng.random() < 0.7 else rng.normal(0, 0.08))  # across, or level
        slash: Stroke = [(0.4 + reach * rx * 0.8, 0.5 - rise), (0.4 - reach * rx * 0.8, 0.5 + rise)]
        return [ring, slash]
    return [ring]


def one(rng: Generator) -> list[Stroke]:
    """A bare stroke, or with an upstroke from short to as long as the stem, sometimes with a loop, a foot or a hook."""
    stem: Stroke = [(0.5, 0), (0.5 + rng.normal(0, 0.02), 0.5), (0.5 + rng.normal(0, 0.03), 1)]
    ending = rng.random()
    if ending < 0.06:  # the pen leads on to the right, or came from the left
        stem += [(0.54 + 0.1 * rng.random(), 0.98), (0.6 + 0.15 * rng.random(), rng.uniform(0.86, 0.96))]
    elif ending < 0.1:
        stem += [(0.46 - 0.06 * rng.random(), 0.99), (0.4 - 0.15 * rng.random(), rng.uniform(0.86, 0.96))]
    if rng.random() < 0.22:
        return [stem]
    if rng.random() < 0.05:  # the upstroke comes down again in a narrow loop
        low, wide = rng.uniform(0.45, 0.95), rng.uniform(0.05, 0.13)
        return [
            [(0.5 - rng.uniform(0.25, 0.45), low), (0.5 + wide * 0.6, 0.2), (0.5 + wide, 0.04), (0.5, 0.02), *stem[1:]]
        ]
    length = rng.uniform(0.12, 0.95) if rng.random() < 0.6 else rng.uniform(0.6, 1.08)
    # The longer the upstroke, the steeper: a long flat one would be the bar of a 7.
    angle = math.radians(rng.uniform(32 + 22 * length, 70 + 5 * length))
    start = (0.5 - length * math.cos(angle), length * math.sin(angle))
    middle = (0.5 - length * math.cos(angle) * 0.5, length * math.sin(angle) * 0.5 + rng.normal(0, 0.04))
    top: Stroke = [(0.5, 0), *stem] if rng.random() < 0.75 else [(0.5 - 0.04 * rng.random(), 0.02), *stem[1:]]
    strokes = [[start, middle, *top]]
    if ending >= 0.1 and rng.random() < 0.25:
        y, left, right = 1 + rng.normal(0, 0.02), rng.uniform(0.1, 0.32), rng.uniform(0.1, 0.32)
        strokes.append([(0.5 - left, y), (0.5 + right, y + rng.normal(0, 0.03))])
    return strokes


def two(rng: Generator) -> list[Stroke]:
    """With a loop at the foot, a flat or a wavy one, angular, or a ring at the start of the bow."""
    top: Stroke = [
        (rng.uniform(0.02, 0.14), rng.uniform(0.12, 0.3)),
        (0.2, 0.05),
        (0.42, 0),
        (0.66, 0.17),
        (0.58, 0.42),
    ]
    start = rng.random()
    if start < 0.08:  # closed, as the ring of a 9
        depth = rng.uniform(0.4, 0.6)
        top = [(0.5, depth - 0.12), (0.3, depth), (0.04, depth - 0.14), (0.1, 0.06), *top[2:]]
    elif start < 0.22:
        depth = rng.uniform(0.2, 0.4)
        top = [(0.34, depth - 0.1), (0.22, depth), (0.08, depth - 0.08), (0.12, 0.08), *top[2:]]
    elif start < 0.34:
        depth = rng.uniform(0.3, 0.52)
        top = [(rng.uniform(0.1, 0.35), depth), (0.03, depth - 0.12), (0.12, 0.06), (0.4, 0), (0.68, 0.2), (0.6, 0.46)]
    y = 1 + rng.normal(0, 0.03)
    form = rng.random()
    if form < 0.05:  # angular: what tells it from a Z is its bow, however flat
        bow: Stroke = [(0.05, rng.uniform(0.1, 0.22)), (0.3, 0), (0.6, rng.uniform(0.06, 0.16)), (0.58, 0.24)]
        return [[*bow, (0.02, y), (0.02, y), (rng.uniform(0.55, 0.85), y + rng.normal(0, 0.03))]]
    if form < 0.38:
        return [[*top, (0.3, 0.74), (0.02, y), (0.02, y), (0.4, y + rng.normal(0, 0.03)), (rng.uniform(0.6, 0.9), y)]]
    if form < 0.7:
        loop = rng.uniform(0.06, 0.16)
        foot: Stroke = [(0.14, 0.97), (0.0, 0.95 - loop / 2), (0.1, 0.9 - loop), (0.32, 0.92), (0.55, 1)]
        return [[*top, (0.32, 0.78), *foot, (rng.uniform(0.68, 0.9), 0.92)]]
    return [[*top, (0.28, 0.72), (0.08, 0.93), (0.08, 0.93), (0.3, 0.88), (0.55, 0.99), (rng.uniform(0.7, 0.95), 0.93)]]


def three(rng: Generator) -> list[Stroke]:
    """Two bows, sharp or looped in the middle, or a flat top with a diagonal."""
    bow: Stroke = [(0.55, 0.52), (0.68, 0.75), (0.38, 1), (rng.uniform(0, 0.1), rng.uniform(0.8, 0.93))]
    waist = (rng.uniform(0.2, 0.35), 0.46 + rng.normal(0, 0.02))
    form = rng.random()
    if form < 0.25:
        return [[(0.05, 0.02), (0.62, 0), (0.62, 0), waist, waist, *bow]]
    top: Stroke = [(rng.uniform(0.02, 0.14), rng.uniform(0.06, 0.2)), (0.34, 0), (0.6, 0.19), (0.48, 0.4)]
    if form < 0.45:
        return [[*top, (waist[0], 0.48), (waist[0] - 0.04, 0.42), (waist[0] + 0.08, 0.42), *bow]]
    return [[*top, waist, waist, *bow]]


def four(rng: Generator) -> list[Stroke]:
    """Open, closed or rounded, the bar high or low, the stem long or short, crossing the bar or hanging from its end."""
    bar_y, bar_end = rng.uniform(0.48, 0.72), rng.uniform(0.62, 0.98)
    stem_x, lean = rng.uniform(0.46, 0.64), rng.normal(-0.02, 0.06)
    form = rng.random()
    if form < 0.14:  # in one go: the pen hardly leaves the paper between the bar and the stem
        left, low = rng.uniform(0, 0.12), rng.uniform(0.48, 0.62)
        corner, turn = (left, low), (rng.uniform(0.5, 0.62), low - rng.uniform(0, 0.06))
        if rng.random() < 0.4:  # like a flash
            return [
                [(left + rng.uniform(0.05, 0.3), 0), corner, corner, turn, turn, (turn[0] - rng.uniform(0, 0.3), 1)]
            ]
        top_right = (turn[0] + rng.uniform(-0.02, 0.06), rng.uniform(0.1, 0.35))
        return [[(left + rng.uniform(0.05, 0.3), 0), corner, corner, turn, top_right, top_right, (turn[0] + lean, 1)]]
    if form < 0.25:  # a long slope, a low bar and hardly a stem
        low, stem_top = rng.uniform(0.7, 0.86), rng.uniform(0.45, 0.68)
        corner = (rng.uniform(-0.02, 0.06), low)
        slope: Stroke = [
            (rng.uniform(0.3, 0.62), 0),
            corner,
            corner,
            (rng.uniform(0.5, 0.85), low + rng.normal(0, 0.04)),
        ]
        return [slope, [(stem_x - 0.08, stem_top), (stem_x - 0.08 + lean, 1)]]
    if form < 0.4:
        left = rng.uniform(0.02, 0.2)
        bar: Stroke = [(left - 0.02, bar_y), (left - 0.02, bar_y), (bar_end, bar_y + rng.normal(0, 0.04))]
        stem: Stroke = [(stem_x, rng.uniform(0, 0.55)), (stem_x + lean, rng.uniform(0.88, 1))]
        return [[(left + rng.uniform(0, 0.3), rng.uniform(0, 0.12)), *bar[rng.integers(2) :]], stem]
    if form < 0.5:
        bowl: Stroke = [
            (0.12, 0.02),
            (0.05, 0.35),
            (0.16, bar_y - 0.02),
            (0.4, bar_y),
            (stem_x + rng.uniform(0, 0.2), bar_y - 0.08),
        ]
        return [bowl, [(stem_x + 0.02, rng.uniform(0, 0.15)), (stem_x + lean, 1)]]
    if form < 0.6:
        corner, end = (0, bar_y - 0.08), (rng.uniform(0.5, 0.7), bar_y - 0.12)
        return [
            [(rng.uniform(0.1, 0.6), 0), corner, corner, end],
            [(end[0] + rng.uniform(0, 0.12), rng.uniform(0.05, 0.3)), end, (end[0] - rng.uniform(0, 0.3), 1)],
        ]
    slope = [(stem_x - rng.uniform(0, 0.15), 0), (0, bar_y), (0, bar_y), (bar_end, bar_y + rng.normal(0, 0.04))]
    if form < 0.78:
        return [slope, [slope[0], (stem_x, 0.5), (stem_x + lean, 1)]]
    return [slope, [(stem_x, rng.uniform(0.22, 0.5)), (stem_x + lean - 0.03, 1)]]


def five(rng: Generator) -> list[Stroke]:
    """In one stroke, angular or as an S, or with a bar of its own that may not quite touch."""
    shoulder = (rng.uniform(0.08, 0.16), rng.uniform(0.36, 0.46))
    bowl: Stroke = [
        shoulder,
        shoulder,
        (0.38, 0.35),
        (0.64, 0.52),
        (0.62, 0.82),
        (0.34, 1),
        (rng.uniform(0, 0.08), rng.uniform(0.84, 0.95)),
    ]
    start = (0.18, rng.uniform(0, 0.05))
    if rng.random() < 0.18:  # in one bow, as an S
        top = (rng.uniform(0.55, 0.9), rng.normal(0.05, 0.04))
        return [[top, (0.36, 0.02), (0.13, 0.18), (0.26, 0.4), (0.52, 0.56), *bowl[4:]]]
    if rng.random() < 0.08:  # the back goes down by itself, from a long bar on the right the bowl
        back, low = rng.uniform(0.02, 0.14), rng.uniform(0.62, 0.98)
        hang = rng.uniform(0.3, 0.5)
        end = (rng.uniform(0.1, 0.3), rng.uniform(0.86, 1))
        turn: Stroke = [(hang, 0.4), (hang + 0.24, 0.5), (hang + 0.22, 0.82), (hang, 1), end]
        return [[(back + 0.1, low * 0.62), (back + 0.12, 0.02), (back + 0.12, 0.02), (rng.uniform(0.6, 1), 0)], turn]
    reach = rng.uniform(0.9, 1.4) if rng.random() < 0.25 else rng.uniform(0.5, 0.8)
    if rng.random() < 0.4:
        return [[(reach, rng.normal(0, 0.03)), start, start, *bowl]]
    gap = rng.uniform(-0.05, 0.05)
    return [
        [start, *bowl],
        [(start[0] + gap, start[1] + rng.normal(0, 0.02)), (reach, rng.normal(0, 0.05))],
    ]


def six(rng: Generator) -> list[Stroke]:
    """A curved or nearly straight back, sometimes with a hook at its top, and a loop, large or small, at times open."""
    top, right = rng.uniform(0.35, 0.62), rng.uniform(0.5, 0.68)
    loop = rng.uniform(0.3, 0.42) if rng.random() < 0.12 else rng.uniform(0.4, 0.64)
    end: Stroke = [(0.12, loop + 0.2)] if rng.random() < 0.75 else [(0.26, loop + 0.06)]
    if rng.random() < 0.1:  # the loop goes on across the back
        end = [(0.1, loop + 0.14), (-0.06 - 0.1 * rng.random(), loop + rng.uniform(0.16, 0.3))]
    back: Stroke = [(top, 0), (top * 0.5 + rng.normal(0, 0.03), 0.22), (0.08, 0.58)]
    if rng.random() < 0.3:
        back = [(top + rng.uniform(0.02, 0.22), rng.uniform(0.06, 0.28)), (top, 0.02), (top * 0.55, 0.08), *back[1:]]
    return [[*back, (0.1, 0.85), (0.34, 1), (right, 0.86), (right - 0.02, loop + 0.1), (0.36, loop), *end]]


def seven(rng: Generator) -> list[Stroke]:
    """Plain or crossed, the bar straight, wavy, begun with a tick or ended by a loop, sometimes with a foot."""
    right, foot = rng.uniform(0.45, 0.7), rng.uniform(0.02, 0.42)
    bar_y = rng.normal(0.02, 0.05)
    bar: Stroke = [(0, bar_y), (right, 0), (right, 0)]
    if rng.random() < 0.25:
        bar = [(0, bar_y + 0.05), (right * 0.35, bar_y - 0.03), (right * 0.7, bar_y + 0.06), (right, 0), (right, 0)]
    serif = rng.random()
    if serif < 0.25:  # from below
        tick = (rng.normal(-0.02, 0.04), rng.uniform(0.1, 0.34))
        bar = [tick, bar[0], *bar]
    elif serif < 0.55:  # from above, the bar rising from its foot
        dip = (rng.uniform(-0.02, 0.12), rng.uniform(0.08, 0.24))
        bar = [
            (rng.normal(-0.02, 0.04), rng.normal(-0.02, 0.04)),
            *[dip] * int(rng.integers(1, 3)),
            (right, 0),
            (right, 0),
        ]
    bend = rng.uniform(-0.14, 0.06)
    if rng.random() < 0.06:  # a small loop where the bar turns down
        bar = [*bar[:-2], (right, 0.03), (right + 0.08, -0.06), (right - 0.02, -0.06), (right - 0.02, 0.1)]
    strokes = [[*bar, ((right + foot) / 2 + bend, 0.48), (foot, 1)]]
    crossed = rng.random() < 0.55
    if crossed and rng.random() < 0.34:  # the pen leads on to the right
        strokes[0] += [(foot + 0.06, 1.02), (foot + rng.uniform(0.15, 0.35), rng.uniform(0.9, 1.02))]
    if crossed and rng.random() < 0.2:  # hardly a bar: the cross tells it
        strokes[0] = [(right - rng.uniform(0.06, 0.2), rng.normal(0.04, 0.03)), *strokes[0][len(bar) - 2 :]]
    if crossed:
        y, half, tilt = rng.uniform(0.38, 0.64), rng.uniform(0.12, 0.36), rng.normal(-0.03, 0.08)
        x = right + (foot - right) * y + bend * 0.9 + rng.normal(0, 0.05)
        strokes.append([(x - half, y - tilt), (x, y + rng.normal(0, 0.02)), (x + half, y + tilt)])
    if rng.random() < 0.05:
        strokes.append([(foot - rng.uniform(0.08, 0.2), 1), (foot + rng.uniform(0.08, 0.2), 1)])
    return strokes


def eight(rng: Generator) -> list[Stroke]:
    """In one crossing stroke, closed or open at the top, or as two rings."""
    if rng.random() < 0.25:
        waist, rx = rng.uniform(0.42, 0.5), rng.uniform(0.2, 0.28)
        lower = (1 - waist) / 2
        upper = arc((0.35, waist / 2), (rx, waist / 2), 90, 365, 9)
        return [upper, arc((0.35, 1 - lower), (rx * rng.uniform(1, 1.3), lower), 270, -365, 10)]
    last: Stroke = [(0.56, 0.2), (0.46, 0.04)] if rng.random() < 0.75 else [(0.62, rng.uniform(0.05, 0.15))]
    return [
        [
            (0.52, 0.1),
            (0.34, 0),
            (0.13, 0.16),
            (0.24, 0.38),
            (0.5, 0.58),
            (0.62, 0.8),
            (0.35, 1),
            (0.07, 0.82),
            (0.2, 0.6),
            (0.46, 0.4),
            *last,
        ]
    ]


def nine(rng: Generator) -> list[Stroke]:
    """A loop, closed or open, with a straight, slanted, hooked or curled tail from its side or its foot."""
    rx, ry = rng.uniform(0.18, 0.32), rng.uniform(0.18, 0.3)
    sweep = -rng.uniform(300, 350)
    loop = arc((0.36, ry), (rx, ry), rng.uniform(-35, -5), sweep, 9)
    edge, form = 0.36 + rx, rng.random()
    if rng.random() < 0.07:  # the pen leads on to the right
        low = edge - rng.uniform(0.02, 0.2)
        return [[*loop, (edge, ry), (low, 0.92), (low + 0.06, 1), (low + rng.uniform(0.15, 0.35), rng.uniform(0.9, 1))]]
    if form < 0.2:
        ring = arc((0.36, ry), (rx, ry), rng.uniform(30, 125), -rng.uniform(345, 370), 10)
        return [[*ring, ring[-1], (rng.uniform(0.25, 0.5), 0.75), (rng.uniform(0.1, 0.5), 1)]]
    if form < 0.45:
        return [
            [
                *loop,
                (edge, ry * 0.8),
                (edge, ry * 0.8),
                (edge - rng.uniform(-0.02, 0.08), 0.6),
                (edge - rng.uniform(-0.04, 0.36), 1),
            ]
        ]
    if form < 0.75:
        return [
            [
                *loop,
                (edge, ry),
                (edge - 0.02, 0.6),
                (edge - 0.08, 0.88),
                (0.36, 1),
                (rng.uniform(0.02, 0.2), rng.uniform(0.82, 0.96)),
            ]
        ]
    return [
        [
            *loop,
            (edge, ry),
            (edge + 0.02, 0.65),
            (0.42, 0.97),
            (0.14, 0.97),
            (0.05, rng.uniform(0.74, 0.86)),
            (0.2, rng.uniform(0.72, 0.8)),
        ]
    ]


DIGITS: list[Callable[[Generator], list[Stroke]]] = [zero, one, two, three, four, five, six, seven, eight, nine]
