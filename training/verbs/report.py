from pathlib import Path
from typing import Any

from training.verbs.common import FIGURES, Arguments, add_records, add_runs, add_verb

_TEXT = """\
write what was trained, how well it reads and what it costs, for people

One HTML page that needs no other file, pictures inside, and the same texts and tables as Markdown. It reads the records
in the repository; pictures come from the runs that are still there."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "report", _run, _TEXT)
    add_records(parser)
    add_runs(parser)
    parser.add_argument(
        "--figures",
        type=Path,
        default=FIGURES,
        metavar="FOLDER",
        help=f"where measurements of the released model are kept (default: {FIGURES})",
    )
    parser.add_argument(
        "--html", type=Path, default=Path("report.html"), metavar="FILE", help="the page (default: report.html)"
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        default=Path("docs/accuracy.md"),
        metavar="FILE",
        help="the Markdown (default: docs/accuracy.md)",
    )


def _run(arguments: Arguments) -> None:
    from training.compare import read_records
    from training.report import read_figures, write_report

    records = read_records(arguments.records)
    write_report(records, read_figures(arguments.figures), arguments.runs, arguments.html, arguments.markdown)
    print(f"{len(records)} records: {arguments.html}, {arguments.markdown}")
