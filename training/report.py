"""The report: what was trained, how well it reads and what it costs, as one HTML page and as docs/accuracy.md.

A section is a function from the material to a title and blocks of text, tables and pictures; SECTIONS lists them in
the order of the page. One that finds nothing to tell returns None. The Markdown holds the same texts and tables;
most pictures are in the HTML page only, inside the file, so that the page can be sent around.
"""

import base64
import html
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training import decided, numbers, plots, repeating
from training.blocks import Block, Code, Picture, Section, Table, Text, named
from training.compare import Record, Row, Significance, compare, significance
from training.errors import RunError
from training.evaluate import accuracy_of
from training.handwriting import LARGE_FOLDER, MISREAD, picture_name
from training.lessons import table as lessons_table
from training.runs import write_bytes


@dataclass(frozen=True)
class Material:
    """What sections are made of: records and figures, and where runs keep their pictures and sections may draw theirs.

    `figures` are measurements of the released model by the name of their file, such as `handwriting`; `plots` is where
    pictures go that the Markdown shows too.
    """

    records: Sequence[Record]
    runs: Path
    scratch: Path
    figures: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Row] = field(default_factory=list)
    against_best: dict[str, Significance] = field(default_factory=dict)
    plots: Path = Path("docs/plots")

    @property
    def best(self) -> Row:
        return self.rows[0]


# The network of most tutorials, which costs are compared with.
USUAL = "cnn_225k"

SectionMaker = Callable[[Material], Section | None]


def write_report(records: Sequence[Record], figures: Mapping[str, Any], runs: Path, page: Path, markdown: Path) -> None:
    """Write the page and the Markdown.

    Args:
        records: from `compare.read_records`.
        figures: from `read_figures`.
        runs: folder of the runs; the pictures of those that are there are shown.
        page: the HTML file.
        markdown: the Markdown file.

    Raises:
        RunError: a file cannot be written.
    """
    rows = compare(records)
    with tempfile.TemporaryDirectory() as scratch:
        folder = markdown.parent / "plots"
        material = Material(records, runs, Path(scratch), figures, rows, significance(rows), folder)
        sections = [section for make in SECTIONS if (section := make(material))]
        write_bytes(page, to_html(sections).encode())
    write_bytes(markdown, to_markdown(sections).encode())


def read_figures(folder: Path) -> dict[str, Any]:
    """What was measured of the released model, by the name of the file.

    Raises:
        RunError: a file is no JSON.
    """
    try:
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    except (OSError, ValueError) as error:
        raise RunError(f"a file in {folder} cannot be read: {error}") from error


def handwriting(material: Material) -> Section | None:
    """Sets of pictures of other people's handwriting."""
    figures = material.figures.get("handwriting")
    if not figures or not figures["sets"]:
        return None
    told = (
        f"Pictures of digits by other writers, read by the service's own reader as uploads, with released model "
        f"{named(figures['model'])}. None of them was trained on, and no threshold was chosen by them. Accepted: the share that "
        f"may be used unread at the default promise, and how many of these were wrong."
    )
    rows = [row for scores in figures["sets"] for row in _set_rows(scores)]
    header = ("set", "n", "read right", "95 % interval", "accepted", "wrong among them", "error of accepted")
    names = [scores["name"] for scores in figures["sets"]]
    return Section("Handwriting of other people", [Text(told), Table(header, rows), *_misread(material, names)])


def _misread(material: Material, names: Sequence[str]) -> list[Block]:
    caption = "misread: each as it came, true > read, and as the network saw it, with the confidence; the surest first."
    paths = {name: material.runs / MISREAD / picture_name(name) for name in names}
    return [Picture(path, f"{name}, {caption}") for name, path in paths.items() if path.is_file()]


def _set_rows(scores: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The whole set, its large folders, the small ones together, and the mean over folders."""
    rows = [_set_row(scores["name"], scores)]
    folders = scores.get("folders", {})
    rows += [_set_row(f"- {name}", row) for name, row in folders.items() if row["n"] >= LARGE_FOLDER]
    small = [row for row in folders.values() if row["n"] < LARGE_FOLDER]
    if small:
        keys = ("n", "errors", "accepted", "accepted_wrong")
        total = {key: sum(row[key] for row in small) for key in keys}
        rows.append(
            _set_row(f"- {len(small)} smaller folders", total | accuracy_of(total["n"] - total["errors"], total["n"]))
        )
    if "macro" in scores:
        rows.append((f"- mean over {len(folders)} folders", "", f"{scores['macro']:.2%}", *[""] * 4))
    return rows


def _set_row(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = row["interval"]
    return (
        name,
        f"{row['n']:,}",
        f"{row['accuracy']:.2%}",
        f"{low:.2%} to {high:.2%}",
        f"{row['accepted'] / row['n']:.1%}",
        str(row["accepted_wrong"]),
        f"{row['accepted_wrong'] / max(row['accepted'], 1):.2%}",
    )


def varied(material: Material) -> Section | None:
    """One digit in many files."""
    figures = material.figures.get("handwriting")
    if not figures:
        return None
    scores = figures["variants"]
    told = (
        f"{scores['digits']} test digits, each drawn in {len(scores['variants'])} ways: formats, inks, sizes, margins, "
        f"turned with an EXIF orientation. {scores['agree']:.2%} of {scores['n']:,} are read as the plain picture of the "
        f"same digit is. The ways that differ at all:"
    )
    differing = sorted((agree, name) for name, agree in scores["variants"].items() if agree < scores["digits"])
    rows = [(name, f"{agree / scores['digits']:.1%}") for agree, name in differing]
    return Section("Formats, colours, sizes", [Text(told), Table(("variant", "read alike"), rows)])


def corrupted(material: Material) -> Section | None:
    """Fifteen corruptions, several models side by side."""
    figures = material.figures.get("handwriting")
    if not figures:
        return None
    models = figures["corruptions"]
    first = next(iter(models.values()))
    told = (
        f"{first['n']:,} test digits after each of fifteen corruptions, written after MNIST-C (arXiv 1906.02337) with its "
        f"published severities; none was trained on."
    )
    rows = [(kind, *(f"{scores['accuracy'][kind]:.1%}" for scores in models.values())) for kind in first["accuracy"]]
    rows.append(("mean", *(f"{scores['mean']:.2%}" for scores in models.values())))
    return Section("Corrupted digits", [Text(told), Table(("corruption", *models), rows)])


def ablated(material: Material) -> Section | None:
    """The normalisation with its steps switched off in turn, and made of OpenCV's functions."""
    figures = material.figures.get("ablation")
    if not figures:
        return None
    told = (
        f"Pictures that are misread, by released model {named(figures['model'])}, with one step of the normalisation switched off "
        f"at a time. Last, the same steps made of OpenCV's functions."
    )
    sets = figures["sets"]
    header = ("misread", *(f"{each['name']} ({each['n']:,})" for each in sets))
    rows = [
        (name, *(f"{wrong} ({wrong / each['n']:.2%})" for wrong, each in zip(errors, sets, strict=True)))
        for name, errors in figures["errors"].items()
    ]
    return Section("What each step of the normalisation is worth", [Text(told), Table(header, rows), *_costs(figures)])


def ingredients(material: Material) -> Section | None:
    """Short trainings that lack one ingredient each."""
    figures = material.figures.get("ingredients")
    if not figures:
        return None
    told = (
        f"Pictures that are misread after {figures['epochs']} epochs of our network's training (of "
        f"{figures['parameters']:,} parameters; the released one has more epochs), with all it is taught and with one "
        f"ingredient left out at a time, all with seed {figures['seed']}; and how many of {figures['negatives']:,} negatives "
        f"of families that are never trained on pass where 1 % of the validation digits is rejected. With one seed, a "
        f"difference of less than about twice the square root of the count may be chance."
    )
    sets = figures["sets"]
    header = ("misread", *(f"{each['name']} ({each['n']:,})" for each in sets), "negatives that pass")
    rows = [
        (
            name,
            *(f"{wrong} ({wrong / each['n']:.2%})" for wrong, each in zip(row["errors"], sets, strict=True)),
            f"{row['passing']} ({row['passing'] / figures['negatives']:.1%})",
        )
        for name, row in figures["rows"].items()
    ]
    return Section("What each ingredient of the training is worth", [Text(told), Table(header, rows)])


def lessons(material: Material) -> Section | None:
    """What the released network has from its teachers."""
    figures = material.figures.get("lessons")
    if not figures:
        return None
    own = ", but of MNIST's digits the labels alone," if figures["teacher_pictures"] == "made" else ""
    told = (
        f"Pictures that are misread by networks that were trained alone, by the mean of their answers, and by networks of the same "
        f"size that started where these stood and were taught this mean beside the labels{own} for {figures['epochs']} epochs; and "
        f"how many of {figures['negatives']:,} negatives of families that are never trained on pass where 1 % of the validation "
        f"digits is rejected. As above, each picture is looked at once. Of several networks the mean is told, and from the least to "
        f"the most."
    )
    header, rows = lessons_table(figures)
    return Section("What is learned from teachers", [Text(told), Table(header, rows)])


def _costs(figures: Mapping[str, Any]) -> list[Block]:
    """Time, memory and room on disk of the normalisation, with Pillow and numpy and with OpenCV."""
    times, memory, installed = figures["microseconds"], figures["megabytes"], figures["installed"]
    told = (
        "Decoding and normalising a drawn picture, in microseconds (medians, all in turns in one run), and in brackets as a "
        "multiple of what Pillow takes to decode the same file to grey."
    )
    names = list(next(iter(times.values())))
    rows = [
        (kind, *(f"{taken[name]:,.0f} ({taken[name] / taken[names[0]]:.2f})" for name in names))
        for kind, taken in times.items()
    ]
    packages = " and ".join(f"{row['distribution']} {row['version']}" for row in installed.values())
    room = (
        f"Megabytes: {packages}, without numpy, which both need; and what a process has resident at most, with numpy."
    )
    kinds = list(next(iter(memory.values()), {}))
    sizes = [("installed", *(f"{row['megabytes']:.1f}" for row in installed.values()))]
    sizes += [(f"resident, {kind}", *(f"{row[kind]:.0f}" for row in memory.values())) for kind in kinds]
    return [Text(told), Table(("", *names), rows), Text(room), Table(("", *installed), sizes)]


def passing_unread(material: Material) -> Section | None:
    """Coverage and error on MNIST test."""
    figures = material.figures.get("decisions")
    return decided.passing_unread(figures, material.plots) if figures else None


def confidences(material: Material) -> Section | None:
    """Calibration on clean and corrupted digits."""
    figures = material.figures.get("decisions")
    if not figures:
        return None
    run = next((each for each in material.records if each["id"] == figures["model"]["run"]), {})
    return decided.confidences(figures, run.get("calibration", {}), material.plots)


def photos(material: Material) -> Section | None:
    """Coverage and error on photos."""
    figures = material.figures.get("decisions", {})
    return decided.photos(figures) if "photos" in figures else None


def no_digits(material: Material) -> Section | None:
    """Blank cells, letters and drawn negatives."""
    figures = material.figures.get("decisions")
    return decided.no_digits(figures) if figures else None


def reject_cost(material: Material) -> Section | None:
    """What the reject output costs in accuracy."""
    return decided.reject_cost(material.records)


def several_digits(material: Material) -> Section | None:
    """Numbers, and how they are read."""
    figures = material.figures.get("fields")
    return numbers.several_digits(figures) if figures else None


def comparison(material: Material) -> Section:
    """The table of all networks and classifiers."""
    best, n = material.best, material.best.records[0]["evaluation"]["test"]["n"]
    told = (
        f"All were trained and measured by this package, on the same {n:,} test digits, which no choice was made by. "
        f"Where a row has several seeds, accuracy is their mean and the spread their standard deviation; precision, "
        f"recall and F1 are means over the ten digits. Time is of the exported graph in onnxruntime on one thread, "
        f"one digit at a time, all graphs measured in turns{_timed_on(material)} (scikit-learn's own prediction for the "
        f"baselines, each when it was fitted). "
        f"Most accurate: {best.name}.{_batch_in_words(material)}"
    )
    return Section("Side by side", [Text(told), comparison_table(material.rows, material.against_best)])


def _timed_on(material: Material) -> str:
    processors = sorted({record["timed_on"] for record in material.records if "timed_on" in record})
    return f" on {' and '.join(processors)}" if processors else ""


def _batch_in_words(material: Material) -> str:
    """What the released network takes in batches of 16, beside the network of most tutorials."""
    models = [figures["model"] for figures in material.figures.values() if "model" in figures]
    model: Mapping[str, Any] = next((each for each in models if "run" in each), {})
    released = [row for row in material.rows if any(record["id"] == model.get("run") for record in row.records)]
    usual = [row for row in material.rows if row.name == USUAL]
    if (
        not released
        or not usual
        or not (ours := released[0].microseconds_16)
        or not (theirs := usual[0].microseconds_16)
    ):
        return ""
    return (
        f" In batches of 16, as us at 16 tells, the recipe of released model {named(model)} takes {ours:.1f} microseconds an "
        f"image, {ours / theirs:.2f} times as long as {USUAL}."
    )


def comparison_table(rows: Sequence[Row], against_best: Mapping[str, Significance]) -> Table:
    """One row for each recipe; the last column is the adjusted p-value against the best."""
    scores = ("", "seeds", "accuracy", "spread", "precision", "recall", "F1", "ECE")
    costs = ("parameters", "file, KB", "us/image", "us at 16", "training, s", "p")
    return Table((*scores, *costs), [_cells(row, against_best.get(row.name)) for row in rows])


def cost(material: Material) -> Section | None:
    """Error against time."""
    points = [
        {"name": row.name, "microseconds": row.microseconds, "error": 1 - row.accuracy, "spread": row.spread}
        for row in material.rows
        if row.microseconds and row.accuracy < 1
    ]
    if not points:
        return None
    path = material.scratch / "cost.png"
    plots.plot_cost(points, path)
    front = ", ".join(row.name for row in pareto_front(material.rows))
    told = f"Whatever is faster than one of these is less accurate: {front}."
    return Section("Accuracy and cost", [Text(told), Picture(path, "Error and time per image; low and left is good.")])


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """Rows that no other beats in accuracy and time at once, the most accurate first."""
    timed = [(row, 1 - row.accuracy, row.microseconds) for row in rows if row.microseconds is not None]
    return [
        row
        for row, error, time in timed
        if not any(e <= error and t <= time and (e, t) != (error, time) for _, e, t in timed)
    ]


def differences(material: Material) -> Section | None:
    """McNemar's test against the best."""
    if not material.against_best:
        return None
    told = (
        f"Exact McNemar tests of each row's median run against that of {material.best.name}: how many digits only one "
        "of the two reads right. The last column is adjusted for the number of comparisons (Holm). Above 0.05 these "
        "digits do not tell the two apart."
    )
    rows = [
        (name, str(each.only_best), str(each.only_other), _p(each.p), _p(each.adjusted))
        for name, each in material.against_best.items()
    ]
    header = ("", "only the best right", "only this right", "p", "p, adjusted")
    return Section("Which differences are real", [Text(told), Table(header, rows)])


def mistakes(material: Material) -> Section:
    """What the best network confuses, digit by digit."""
    record = material.best.median
    test = record["evaluation"]["test"]
    pairs = ", ".join(f"{pair['first']} and {pair['second']} ({pair['n']})" for pair in test["confused"][:5])
    told = f"{record['id']} reads {test['errors']} of {test['n']:,} wrong. Most often confused: {pairs or 'none'}."
    rows = [
        (str(row["digit"]), f"{row['n']:,}", *(f"{row[name]:.4f}" for name in ("precision", "recall", "f1")))
        for row in test["per_class"]
    ]
    table = Table(("digit", "n", "precision", "recall", "F1"), rows)
    return Section("Where the best one errs", [Text(told), table, *_pictures(material, record)])


def hard_digits(material: Material) -> Section | None:
    """Digits that nearly everything reads wrong."""
    if len(material.rows) < 2:
        return None
    wrong = [{index for index, _ in row.median["evaluation"]["test"]["mistakes"]} for row in material.rows]
    counts = {index: sum(index in each for each in wrong) for index in set().union(*wrong)}
    everywhere = sorted(index for index, count in counts.items() if count == len(wrong))
    shown = ", ".join(map(str, everywhere[:20])) + (", ..." if len(everywhere) > 20 else "")
    told = (
        f"{len(everywhere)} of the test digits are read wrong by all {len(wrong)} rows"
        f"{f' (number {shown})' if everywhere else ''}; "
        f"{len(counts):,} by at least one."
    )
    return Section("Digits that are hard for all", [Text(told)])


def calibration(material: Material) -> Section:
    """Whether confidences mean what they say."""
    rows = [
        (row.name, f"{row.ece:.4f}", f"{row.median['evaluation']['test']['nll']:.4f}")
        for row in sorted(material.rows, key=lambda row: row.ece)
    ]
    told = (
        "Expected calibration error over 15 bins (0 is perfect) and negative log-likelihood on the test digits, with the "
        "temperature that was fitted on validation digits where a run was calibrated."
    )
    blocks: list[Block] = [Text(told), Table(("", "ECE", "NLL"), rows)]
    path = material.scratch / "reliability.png"
    plots.plot_reliability(material.best.median["evaluation"]["test"]["calibration"]["bins"], path)
    return Section("Calibration", [*blocks, Picture(path, f"{material.best.name}: stated confidence and hits.")])


def learning(material: Material) -> Section | None:
    """How the best one learnt."""
    record = material.best.median
    epochs = record.get("history", {}).get("epochs")
    if not epochs:
        return None
    path = material.scratch / "history.png"
    plots.plot_history(epochs, path)
    return Section("How the best one learnt", [Picture(path, f"{record['id']}: loss and accuracy over the epochs.")])


def mobile(material: Material) -> Section | None:
    """TensorFlow Lite files."""
    rows = [
        (record["id"], kind, f"{each['bytes'] / 1000:,.0f}", f"{each['accuracy']:.2%}", f"{each['lost'] * 100:+.2f}")
        for record in material.records
        for kind, each in record.get("tflite", {}).items()
    ]
    if not rows:
        return None
    told = (
        "TensorFlow Lite files, checked with the interpreter on the test digits; lost points are against the network."
    )
    return Section("On phones and boards", [Text(told), Table(("run", "kind", "KB", "accuracy", "points lost"), rows)])


def repeat(material: Material) -> Section:
    """How every figure can be had again."""
    machine = material.best.records[0]["machine"]
    processors = " and ".join(sorted({record["machine"]["processor"] for record in material.records}))
    cores = " or ".join(map(str, sorted({record["machine"]["cores"] for record in material.records})))
    told = (
        f"Each row's records are in docs/runs: recipe, seed, hashes of the data, history and metrics. Measured on "
        f"{processors}, {cores} cores, Python {machine['python']}, "
        f"TensorFlow {machine['packages']['tensorflow']}, onnxruntime {machine['packages']['onnxruntime']}. Sets of pictures "
        "(SET) are those that a section names, in folders and files of your own."
    )
    return Section("How to repeat it", [Text(told), Code(repeating.lines(material.records, material.figures))])


# In the order of the page.
SECTIONS: list[SectionMaker] = [
    handwriting,
    ablated,
    ingredients,
    lessons,
    varied,
    corrupted,
    several_digits,
    comparison,
    cost,
    differences,
    mistakes,
    hard_digits,
    calibration,
    passing_unread,
    confidences,
    photos,
    no_digits,
    reject_cost,
    learning,
    mobile,
    repeat,
]


def to_markdown(sections: Sequence[Section]) -> str:
    """Texts and tables as Markdown."""
    lines = ["# Accuracy", "", "Written by `python -m training report`; change the code, not this page.", ""]
    for section in sections:
        blocks = [block for block in section.blocks if not isinstance(block, Picture) or block.link]
        if blocks:
            lines += [f"## {section.title}", ""]
        for block in blocks:
            lines += [*_markdown(block), ""]
    return "\n".join(lines)


def to_html(sections: Sequence[Section]) -> str:
    """One page that needs no other file."""
    body = "\n".join(
        f"<section><h2>{html.escape(section.title)}</h2>\n{''.join(_html(block) for block in section.blocks)}</section>"
        for section in sections
    )
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return _PAGE.replace("{body}", body).replace("{made}", made)


def _cells(row: Row, against: Significance | None) -> list[str]:
    return [
        row.name,
        str(len(row.records)),
        f"{row.accuracy:.2%}",
        "-" if row.spread is None else f"{row.spread * 100:.2f}",
        *(f"{value:.4f}" for value in (row.precision, row.recall, row.f1, row.ece)),
        "-" if row.parameters is None else f"{row.parameters:,}",
        "-" if row.bytes is None else f"{row.bytes / 1000:,.0f}",
        *("-" if time is None else f"{time:,.0f}" for time in (row.microseconds, row.microseconds_16)),
        f"{row.seconds:,.0f}",
        "best" if against is None else _p(against.adjusted),
    ]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _pictures(material: Material, record: Record) -> list[Block]:
    folder = material.runs / record["id"] / "plots"
    captions = {
        "confusion-test.png": "Confusions: rows are true digits, columns what they were read as.",
        "mistakes-test.png": "The most confident mistakes: true > read, and the confidence.",
        "occlusion-test.png": "Which part decided: red is where a covered patch costs the answer most.",
    }
    return [Picture(folder / name, caption) for name, caption in captions.items() if (folder / name).is_file()]


def _markdown(block: Block) -> list[str]:
    if isinstance(block, Text):
        return [block.text]
    if isinstance(block, Code):
        return ["```", *block.lines, "```"]
    if isinstance(block, Picture):
        return [f"![{block.caption}]({block.link})"]
    header = f"| {' | '.join(block.header)} |"
    return [header, "|---|" + "--:|" * (len(block.header) - 1), *(f"| {' | '.join(row)} |" for row in block.rows)]


def _html(block: Block) -> str:
    if isinstance(block, Text):
        return f"<p>{html.escape(block.text)}</p>\n"
    if isinstance(block, Code):
        return f"<pre>{html.escape(chr(10).join(block.lines))}</pre>\n"
    if isinstance(block, Picture):
        data = base64.b64encode(block.path.read_bytes()).decode()
        caption = html.escape(block.caption)
        image = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure>\n"
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in block.header)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>\n" for row in block.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>\n'


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>digits: accuracy</title>
<style>
:root { color-scheme: light dark; --line: #8885; --quiet: #777; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.made, figcaption { color: var(--quiet); font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tbody tr:hover { background: #8881; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; background: white; }
pre { overflow-x: auto; padding: .8rem; background: #8881; font-size: .85rem; }
</style>
</head>
<body>
<h1>Accuracy</h1>
<p class="made">Written by python -m training report, {made}</p>
{body}
</body>
</html>
"""
