from typing import Any

from training.verbs.common import Arguments, add_records, add_runs, add_source, add_verb, load

_TEXT = """\
put all networks and baselines side by side

Reads the records that `evaluate --record` and `baselines --record` left. Seeds of one recipe make one row, with mean
and spread; p tells whether a row really differs from the best one on these digits (McNemar, adjusted for the number of
rows). --time measures the graphs of all recorded networks in turns and notes it in the records; where a run is gone, its
network is measured with other weights."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "compare", _run, _TEXT)
    add_records(parser)
    parser.add_argument("--time", action="store_true", help="measure the graphs; needs data")
    add_runs(parser)
    add_source(parser)


def _run(arguments: Arguments) -> None:
    from training.compare import compare, read_records, significance, time_records
    from training.report import comparison_table

    read_records(arguments.records)
    if arguments.time:
        time_records(arguments.records, arguments.runs, load(arguments).test.images)
    rows = compare(read_records(arguments.records))
    table = comparison_table(rows, significance(rows))
    widths = [max(len(row[i]) for row in [table.header, *table.rows]) for i in range(len(table.header))]
    for row in [table.header, *table.rows]:
        first, *rest = (
            f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *rest]))
