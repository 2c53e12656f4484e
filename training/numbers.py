"""The section of the report about numbers of several digits."""

from collections.abc import Mapping
from typing import Any

from training.blocks import Block, Section, Table, Text, named

# What the row of these lines is called.
SHEETS = "lines of photographed sheets"
_HEADER = ("", "n", "exact", "95 %", "boxes found", "accepted", "95 %", "wrong among them")


def several_digits(measured: Mapping[str, Any]) -> Section:
    """Strings made of test digits, real ones where they were measured, what is no number, and the time it takes."""
    model, columns, garbage, time = (measured[key] for key in ("model", "columns", "garbage", "time"))
    told = (
        f"Model {named(model)} with column network {named(columns)}, through the service's own reader, at a "
        "promised error of 1 % per number. The strings are made of MNIST test digits by training/strings.py; exact is a "
        "number all of whose digits are right, a box is found where it overlaps by half."
    )
    touching = measured["strings"]["5"]["touching"]["touching"]
    costs = (
        f"In the touching strings {touching:.0%} of neighbours share ink. Of {garbage['n']} pictures of one to six drawings "
        f"that are no digits {garbage['accepted']:.2%} were accepted as a number at the default promise. A field of 5 digits "
        f"takes {time['spaced']:.1f} ms spaced and {time['touching']:.1f} ms touching on one core, a single digit "
        f"{time['single']:.2f} ms: {time['ratio']:.1f} times as long."
    )
    rows = [
        _row(f"{length} digits, {style}", row)
        for length, styles in measured["strings"].items()
        for style, row in styles.items()
    ]
    blocks: list[Block] = [Text(told), Table(_HEADER, rows), Text(costs)]
    if measured["sequences"]:
        real = (
            "Numbers on real cheques, none of which was trained on. The way of reading was developed on the even rows; the "
            "odd ones are new to it. With a check digit known, the remainder of each number's Luhn sum is told."
        )
        if SHEETS in measured["sequences"]:
            real += (
                " The lines of photographed sheets are found first; where they are not as many as the sheet has, all of them "
                "count as unread."
            )
        blocks += [Text(real), Table(_HEADER, [_row(*item) for item in measured["sequences"].items()])]
    if measured.get("routes"):
        blocks += _routes(measured["routes"])
    return Section("Numbers of several digits", blocks)


def _routes(routes: Mapping[str, Any]) -> list[Block]:
    """What each way of reading is worth alone."""
    told = (
        "Two ways lead to a number: cutting marks into digits, and reading the line's columns. The service does both: the "
        "column network says where to cut, and one score weighs what both networks say. Alone, cutting tries every cut "
        "that crosses little ink and asks the digit network about all pieces, weighed as with both networks; the columns "
        "are read frame by frame. Exact numbers of the same strings of 5 digits and of real amounts, with their 95 % "
        "interval, and the median time of a string on one core."
    )
    kinds = list(next(iter(routes.values()))["exact"])
    rows = [
        (name, *(_exact(row["exact"][kind]) for kind in kinds), f"{row['time']:.1f} ms") for name, row in routes.items()
    ]
    header = "", *(f"{kind}, n {routes[rows[0][0]]['exact'][kind]['n']:,}" for kind in kinds), "time"
    return [Text(told), Table(header, rows)]


def _exact(part: Mapping[str, Any]) -> str:
    return f"{part['exact']:.1%} ({_span(part['interval'])})"


def _row(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    accepted = round(row["coverage"] * row["n"])
    return (
        name,
        f"{row['n']:,}",
        f"{row['exact']:.1%}",
        _span(row["interval"]),
        "-" if row["boxes"] is None else f"{row['boxes']:.1%}",
        f"{row['coverage']:.1%}",
        _span(row["coverage_interval"]),
        f"{row['accepted_wrong']} of {accepted}",
    )


def _span(interval: tuple[float, float]) -> str:
    return f"{max(interval[0], 0):.1%} to {interval[1]:.1%}"
