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
    if form < 0.14:
        return [_crossing_zero(rx, rng)]
    if form < 0.27:  # closed at its right, from where the pen goes on to the next digit
        ring = arc((0.4, 0.5), (rx, 0.5), rng.uniform(-75, 10), -rng.uniform(350, 385), 11)
        edge, drop = 0.4 + rx, rng.uniform(0.35, 1.02)
        end = (edge + rng.uniform(0.02, 0.3), drop + rng.normal(0, 0.02))
        return [[*ring, (edge + rng.normal(0.02, 0.04), 0.3 + 0.4 * drop), end]]
    turning = -1 if rng.random() < 0.8 else 1
    sweep = turning * (rng.uniform(290, 335) if rng.random() < 0.15 else rng.uniform(345, 400))
    ring = arc((0.4, 0.5), (rx, 0.5), rng.uniform(235, 320), sweep, 11)
    if form < 0.38:
        ring += [(0.4 + rx * 0.9, 0.06 + rng.normal(0, 0.04)), (0.4 + rx * rng.uniform(1.1, 1.6), rng.normal(0, 0.06))]
    elif form < 0.45:
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


def _crossing_zero(rx: float, rng: Generator) -> Stroke:
    """A 0 whose ends cross at its top and go on, as in a bow tied."""
    reach = rng.uniform(0.4, 1.5, 2) * rx
    rise = rng.uniform(-0.02, 0.14, 2)
    ring = arc((0.4, 0.55), (rx, 0.45), 285, -rng.uniform(325, 340), 11)
    first, last = (0.4 - reach[0], 0.14 - rise[0]), (0.4 + reach[1], 0.12 - rise[1])
    return [first, *ring, last] if rng.random() < 0.6 else [*ring, last]


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
    if rng.random() < 0.1:
        return [_looped_one(rng)]
    if rng.random() < 0.05:
        return [_footed_one(rng)]
    length = rng.uniform(0.12, 0.95) if rng.random() < 0.6 else rng.uniform(0.6, 1.08)
    # The longer the upstroke, the steeper: a long flat one would be the bar of a 7.
    angle = math.radians(rng.uniform(min(16 + 48 * length, 32 + 22 * length), 70 + 5 * length))
    start = (0.5 - length * math.cos(angle), length * math.sin(angle))
    middle = (0.5 - length * math.cos(angle) * 0.5, length * math.sin(angle) * 0.5 + rng.normal(0, 0.04))
    top: Stroke = [(0.5, 0), *stem] if rng.random() < 0.75 else [(0.5 - 0.04 * rng.random(), 0.02), *stem[1:]]
    strokes = [[start, middle, *top]]
    if ending >= 0.1 and rng.random() < 0.25:
        y, left, right = 1 + rng.normal(0, 0.02), rng.uniform(0.1, 0.32), rng.uniform(0.1, 0.32)
        strokes.append([(0.5 - left, y), (0.5 + right, y + rng.normal(0, 0.03))])
    return strokes


def _looped_one(rng: Generator) -> Stroke:
    """The upstroke comes down again in a narrow loop, as in a written l; the pen may lead on from its foot."""
    low, wide = rng.uniform(0.45, 0.95), rng.uniform(0.05, 0.17)
    start = (0.5 - rng.uniform(0.2, 0.45), low)
    cross = (0.5 + rng.uniform(0, 0.03), rng.uniform(0.5, 0.75) * low)
    loop: Stroke = [cross, (0.5 + wide, 0.16), (0.5 + wide * 0.7, 0.02), (0.5 - 0.3 * wide, 0.1)]
    foot: Stroke = [(0.5 - 0.3 * wide, 0.5), (0.5, 0.94)]
    ending = rng.random()
    if ending < 0.4:
        return [start, *loop, *foot, (0.5 + rng.uniform(0.1, 0.25), rng.uniform(0.86, 1))]
    return [start, *loop, *foot[:1], (0.5 + rng.normal(0, 0.03), 1)]


def _footed_one(rng: Generator) -> Stroke:
    """The stem leans and ends in a foot to the right, drawn without lifting the pen."""
    lean, length = rng.uniform(0.05, 0.3), rng.uniform(0.05, 0.3)
    angle = math.radians(rng.uniform(20, 65))
    start = (0.5 - length * math.cos(angle), length * math.sin(angle))
    corner = (0.5 - lean, 0.97 + rng.normal(0, 0.02))
    foot = (corner[0] + rng.uniform(0.2, 0.5), 0.98 + rng.normal(0, 0.03))
    before: Stroke = [(corner[0] - rng.uniform(0.02, 0.12), corner[1])] if rng.random() < 0.5 else []
    return [start, (0.5, 0), (0.5, 0), (0.5 - lean / 2, 0.5), corner, *before, *([] if before else [corner]), foot]


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
    if rng.random() < 0.08:
        return [_ringed_two(rng)]
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


def _ringed_two(rng: Generator) -> Stroke:
    """The bow is a whole ring, as large as that of a Q, and its foot a tail, flat, wavy or looped."""
    rx, ry = rng.uniform(0.2, 0.4), rng.uniform(0.26, 0.41)
    ring = arc((0.36, ry), (rx, ry), rng.uniform(90, 190), rng.uniform(300, 370), 11)
    foot = (0.36 - rx * rng.uniform(0.3, 1), rng.uniform(0.86, 0.97))
    end = (0.36 + rx * rng.uniform(0.8, 1.7), rng.uniform(0.88, 1.02))
    down: Stroke = [(0.36 + rx * rng.uniform(0.35, 0.8), ry * rng.uniform(1.3, 1.7))]
    turn = rng.random()
    if turn < 0.4:
        return [*ring, *down, foot, foot, end]
    if turn < 0.7:
        return [*ring, *down, foot, (0.36, foot[1] - rng.uniform(0, 0.06)), end]
    return [*ring, *down, foot, (foot[0] - 0.02, foot[1] - 0.1), (0.36, 0.88), end]


def three(rng: Generator) -> list[Stroke]:
    """Two bows, sharp or looped in the middle, at times curled at an end, or a flat top with a diagonal."""
    bow: Stroke = [(0.55, 0.52), (0.68, 0.75), (0.38, 1), (rng.uniform(0, 0.1), rng.uniform(0.8, 0.93))]
    waist = (rng.uniform(0.2, 0.35), 0.46 + rng.normal(0, 0.02))
    form = rng.random()
    if form < 0.25:
        return [[(0.05, 0.02), (0.62, 0), (0.62, 0), waist, waist, *bow]]
    top: Stroke = [(rng.uniform(0.02, 0.14), rng.uniform(0.06, 0.2)), (0.34, 0), (0.6, 0.19), (0.48, 0.4)]
    if rng.random() < 0.15:  # begun with a curl
        top = [(0.22, rng.uniform(0.14, 0.26)), (rng.uniform(0.0, 0.1), 0.16), (0.12, 0.03), *top[1:]]
    if rng.random() < 0.15:  # ended with one, or led on to the right
        end = rng.uniform(0.7, 0.86)
        bow = [*bow[:-1], (0.05, 0.92), (0.02, end), (rng.uniform(0.15, 0.8), end + rng.uniform(-0.06, 0.04))]
    if form < 0.45:
        return [[*top, (waist[0], 0.48), (waist[0] - 0.04, 0.42), (waist[0] + 0.08, 0.42), *bow]]
    return [[*top, waist, waist, *bow]]


def four(rng: Generator) -> list[Stroke]:
    """Open, closed or rounded, the bar high or low, the stem long or short, crossing the bar or hanging from its end."""
    bar_y, bar_end = rng.uniform(0.48, 0.72), rng.uniform(0.62, 0.98)
    stem_x, lean = rng.uniform(0.46, 0.64), rng.normal(-0.02, 0.06)
    form = rng.random()
    if form < 0.05:
        return [_flowing_four(rng)]
    if form < 0.07:
        return [_looped_four(rng)]
    if form < 0.18:  # in one go: the pen hardly leaves the paper between the bar and the stem
        left, low = rng.uniform(0, 0.12), rng.uniform(0.48, 0.62)
        corner, turn = (left, low), (rng.uniform(0.5, 0.62), low - rng.uniform(0, 0.06))
        if rng.random() < 0.5:  # like a flash
            return [
                [(left + rng.uniform(0.05, 0.3), 0), corner, corner, turn, turn, (turn[0] - rng.uniform(0, 0.3), 1)]
            ]
        top_right = (turn[0] + rng.uniform(-0.02, 0.06), rng.uniform(0.1, 0.35))
        return [[(left + rng.uniform(0.05, 0.3), 0), corner, corner, turn, top_right, top_right, (turn[0] + lean, 1)]]
    if form < 0.27:  # a long slope, a low bar and hardly a stem
        low, stem_top = rng.uniform(0.7, 0.86), rng.uniform(0.45, 0.68)
        corner = (rng.uniform(-0.02, 0.06), low)
        slope: Stroke = [
            (rng.uniform(0.3, 0.62), 0),
            corner,
            corner,
            (rng.uniform(0.5, 0.85), low + rng.normal(0, 0.04)),
        ]
        return [slope, [(stem_x - 0.08, stem_top), (stem_x - 0.08 + lean, 1)]]
    if form < 0.41:
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


def _looped_four(rng: Generator) -> Stroke:
    """In one stroke: down and round as a u, and in a loop on its right into the stem."""
    low, loop = rng.uniform(0.45, 0.6), rng.uniform(0.14, 0.26)
    stem = rng.uniform(0.34, 0.46)
    bowl: Stroke = [(rng.uniform(0.05, 0.2), 0), (0.02, low * 0.6), (0.12, low - 0.02), (stem, low)]
    ring: Stroke = [(stem + loop * 1.4, low * 0.62), (stem + loop, 0.06), (stem + 0.02, low * 0.4)]
    return [*bowl, *ring, (stem, low), (stem + rng.uniform(-0.15, 0.06), 1)]


def _flowing_four(rng: Generator) -> Stroke:
    """In one stroke without corners: down, across to the right, and down again."""
    left, low = rng.uniform(0, 0.1), rng.uniform(0.4, 0.6)
    right, rise = rng.uniform(0.36, 0.62), rng.uniform(-0.02, 0.14)
    top = (left + rng.uniform(0.05, 0.35), 0)
    end = (right - rng.uniform(0.05, 0.35), 1)
    return [
        top,
        (left + 0.04, low * 0.6),
        (left + 0.06, low),
        (right - 0.06, low - rise),
        (right, low - rise + 0.1),
        end,
    ]


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
    if rng.random() < 0.08:
        return [_long_five(rng)]
    if rng.random() < 0.2:  # in one bow, as an S, sometimes a flat one
        top = (rng.uniform(0.55, 0.9), rng.normal(0.05, 0.04))
        wide = rng.uniform(1.3, 2.6) if rng.random() < 0.3 else 1
        bow: Stroke = [top, (0.36, 0.02), (0.13, 0.18), (0.26, 0.4), (0.52, 0.56), *bowl[4:]]
        return [[(x * wide, y) for x, y in bow]]
    if rng.random() < 0.08:  # the back goes down by itself, from a long bar on the right the bowl
        back, low = rng.uniform(0.02, 0.14), rng.uniform(0.62, 0.98)
        hang = rng.uniform(0.3, 0.5)
        end = (rng.uniform(0.1, 0.3), rng.uniform(0.86, 1))
        turn: Stroke = [(hang, 0.4), (hang + 0.24, 0.5), (hang + 0.22, 0.82), (hang, 1), end]
        return [[(back + 0.1, low * 0.62), (back + 0.12, 0.02), (back + 0.12, 0.02), (rng.uniform(0.6, 1), 0)], turn]
    reach = rng.uniform(0.9, 1.4) if rng.random() < 0.25 else rng.uniform(0.5, 0.8)
    if rng.random() < 0.4:
        return [[(reach, rng.normal(0, 0.03)), start, start, *bowl]]
    # The bar may begin left of the back.
    gap = rng.uniform(-0.05, 0.05) if rng.random() < 0.8 else rng.uniform(-0.35, -0.05)
    return [
        [start, *bowl],
        [(start[0] + gap, start[1] + rng.normal(0, 0.02)), (reach, rng.normal(0, 0.05))],
    ]


def _long_five(rng: Generator) -> Stroke:
    """A back with a hook at its foot and a long flag at its top, hardly a bowl: as a long s, or a root sign."""
    hook, reach = rng.uniform(0.12, 0.4), rng.uniform(0.35, 1.0)
    top = rng.uniform(0.02, 0.18)
    corner = (hook + rng.uniform(0.05, 0.25), top)
    back: Stroke = [(0, rng.uniform(0.72, 0.97)), (hook * rng.uniform(0.4, 0.8), 1), (hook, rng.uniform(0.7, 0.9))]
    if rng.random() < 0.35:  # the hook is sharp
        back[1:] = [(hook * 0.8, 1), (hook * 0.8, 1)]
    flag: Stroke = [(corner[0] + reach * 0.5, rng.uniform(-0.02, top)), (corner[0] + reach, rng.normal(0.02, 0.06))]
    if rng.random() < 0.3:  # and hangs down at its end
        flag += [(flag[1][0] + rng.normal(0, 0.05), flag[1][1] + rng.uniform(0.1, 0.4))]
    return [*back, (hook + 0.04, 0.45), *[corner] * int(rng.integers(1, 3)), *flag]


def six(rng: Generator) -> list[Stroke]:
    """A curved or nearly straight back, sometimes with a hook at its top, and a loop, large or small, at times open."""
    top, right = rng.uniform(0.35, 0.62), rng.uniform(0.5, 0.68)
    loop = rng.uniform(0.3, 0.42) if rng.random() < 0.12 else rng.uniform(0.4, 0.64)
    end: Stroke = [(0.12, loop + 0.2)] if rng.random() < 0.75 else [(0.26, loop + 0.06)]
    if rng.random() < 0.1:  # the loop goes on across the back
        end = [(0.1, loop + 0.14), (-0.06 - 0.1 * rng.random(), loop + rng.uniform(0.16, 0.3))]
    back: Stroke = [(top, 0), (top * 0.5 + rng.normal(0, 0.03), 0.22), (0.08, 0.58)]
    hooked = rng.random()
    if hooked < 0.3:
        back = [(top + rng.uniform(0.02, 0.22), rng.uniform(0.06, 0.28)), (top, 0.02), (top * 0.55, 0.08), *back[1:]]
    elif hooked < 0.36:  # curled in
        curl = (top * rng.uniform(0.6, 0.95), rng.uniform(0.2, 0.34))
        back = [curl, (top + 0.1, rng.uniform(0.14, 0.26)), (top, 0.02), (top * 0.5, 0.06), (0.08, 0.28), *back[2:]]
    return [[*back, (0.1, 0.85), (0.34, 1), (right, 0.86), (right - 0.02, loop + 0.1), (0.36, loop), *end]]


def seven(rng: Generator) -> list[Stroke]:
    """Plain or crossed, the bar straight, wavy, begun with a tick or ended by a loop, sometimes with a foot."""
    rare = rng.random()
    if rare < 0.1:
        return _round_seven(rng)
    if rare < 0.17:
        return _hooked_seven(rng)
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
        deep = rng.uniform(0.08, 0.24) if rng.random() < 0.7 else rng.uniform(0.24, 0.4)
        dip = (rng.uniform(-0.02, 0.12), deep)
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
        low = rng.uniform(0.38, 0.64) if rng.random() < 0.85 else rng.uniform(0.64, 0.78)
        y, half, tilt = low, rng.uniform(0.12, 0.36), rng.normal(-0.03, 0.08)
        x = right + (foot - right) * y + bend * 0.9 + rng.normal(0, 0.05)
        strokes.append([(x - half, y - tilt), (x, y + rng.normal(0, 0.02)), (x + half, y + tilt)])
    if rng.random() < 0.05:
        strokes.append([(foot - rng.uniform(0.08, 0.2), 1), (foot + rng.uniform(0.08, 0.2), 1)])
    return strokes


def _hooked_seven(rng: Generator) -> list[Stroke]:
    """For a bar a hook, up, far down and up again, which a 4 has too; the cross on the stem below it tells."""
    peak = (rng.uniform(0.04, 0.16), rng.uniform(-0.06, 0.08))
    tick: Stroke = [(peak[0] - rng.uniform(0.06, 0.2), rng.uniform(0.1, 0.36))] if rng.random() < 0.8 else []
    dip = (peak[0] + rng.uniform(-0.02, 0.14), rng.uniform(0.24, 0.46))
    right = (rng.uniform(0.42, 0.62), rng.uniform(-0.02, 0.1))
    foot = (rng.uniform(0.05, 0.4), 1)
    y, tilt = rng.uniform(0.56, 0.84), rng.normal(0, 0.06)
    x = right[0] + (foot[0] - right[0]) * y
    cross: Stroke = [(x - rng.uniform(0.1, 0.28), y - tilt), (x, y), (x + rng.uniform(0.12, 0.36), y + tilt)]
    corner = [right] * int(rng.integers(1, 3))
    return [[*tick, *[peak] * int(rng.integers(1, 3)), dip, *corner, ((right[0] + foot[0]) / 2, 0.52), foot], cross]


def _round_seven(rng: Generator) -> list[Stroke]:
    """Its corner is a bow, from a short bar or a hook into a bent stem; a long cross tells it from a 2."""
    right = rng.uniform(0.4, 0.62)
    start = (rng.uniform(0, 0.15), rng.uniform(0.02, 0.26))
    bow: Stroke = [(right * rng.uniform(0.35, 0.55), rng.normal(0, 0.02)), (right, rng.uniform(0.08, 0.2))]
    foot = rng.uniform(0.05, 0.4)
    stem: Stroke = [(right - rng.uniform(-0.02, 0.1), 0.5), (foot, rng.uniform(0.94, 1))]
    y, x = rng.uniform(0.45, 0.74), right - rng.uniform(0.02, 0.12)
    tilt = rng.normal(-0.02, 0.06)
    cross: Stroke = [(x - rng.uniform(0.15, 0.4), y + tilt), (x, y), (x + rng.uniform(0.15, 0.5), y - tilt)]
    return [[start, *bow, *stem], cross]


def eight(rng: Generator) -> list[Stroke]:
    """In one crossing stroke, closed or open at the top, as two rings, or with a straight back."""
    if rng.random() < 0.07:
        return _straight_eight(rng)
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


def _straight_eight(rng: Generator) -> list[Stroke]:
    """Down a back, nearly straight, round the lower bow and round the upper one, which may stay open: as a B."""
    waist, right = rng.uniform(0.38, 0.52), rng.uniform(0.42, 0.6)
    top = (rng.uniform(0.15, 0.36), rng.uniform(0, 0.06))
    back: Stroke = [top, (0.08, 0.32), (0.05, 0.72), (0.16, 0.97)]
    lower: Stroke = [(0.4, 0.99), (right, 0.76), (right * 0.7, waist + 0.06), (0.12 + 0.12 * rng.random(), waist)]
    end = (top[0] + rng.uniform(-0.1, 0.06), top[1] + rng.uniform(-0.02, 0.1))
    upper: Stroke = [
        (right * 0.75, waist * 0.78),
        (right * rng.uniform(0.75, 1), waist * 0.4),
        (right * 0.6, 0.01),
        end,
    ]
    if rng.random() < 0.5:
        return [[*back, *lower, *upper]]
    return [[*back, *lower], [(top[0], 0.02), (right * 0.7, 0), (right * 0.9, waist * 0.45), lower[-1]]]


def nine(rng: Generator) -> list[Stroke]:
    """A loop, closed or open, with a straight, slanted, hooked or curled tail from its side or its foot."""
    rx, ry = rng.uniform(0.18, 0.32), rng.uniform(0.18, 0.3)
    sweep = -rng.uniform(300, 350)
    loop = arc((0.36, ry), (rx, ry), rng.uniform(-35, -5), sweep, 9)
    edge, form = 0.36 + rx, rng.random()
    if rng.random() < 0.07:  # the pen leads on to the right
        low = edge - rng.uniform(0.02, 0.2)
        return [[*loop, (edge, ry), (low, 0.92), (low + 0.06, 1), (low + rng.uniform(0.15, 0.35), rng.uniform(0.9, 1))]]
    if rng.random() < 0.05:
        return [_flat_nine(rng)]
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
    curl: Stroke = [(0.05, rng.uniform(0.74, 0.86)), (0.2, rng.uniform(0.72, 0.8))]
    if rng.random() < 0.35:  # and back across the tail, as a written g
        curl += [(edge + rng.uniform(0.05, 0.3), rng.uniform(0.6, 0.75))]
    return [[*loop, (edge, ry), (edge + 0.02, 0.65), (0.42, 0.97), (0.14, 0.97), *curl]]


def _flat_nine(rng: Generator) -> Stroke:
    """A wide ring, and from its right side a short tail, straight or led on to the right."""
    rx, ry = rng.uniform(0.4, 0.65), rng.uniform(0.24, 0.38)
    ring = arc((0.5, ry), (rx, ry), rng.uniform(-60, 0), -rng.uniform(335, 375), 11)
    side = 0.5 + rx * rng.uniform(0.7, 1)
    tail: Stroke = [(side + rng.normal(0, 0.03), ry * 1.5), (side + rng.uniform(-0.25, 0.2), 1)]
    if rng.random() < 0.25:
        tail += [(tail[1][0] + rng.uniform(0.15, 0.4), rng.uniform(0.92, 1))]
    return [*ring, *tail]


DIGITS: list[Callable[[Generator], list[Stroke]]] = [zero, one, two, three, four, five, six, seven, eight, nine]
