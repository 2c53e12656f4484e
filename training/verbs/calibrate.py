from pathlib import Path
from typing import Any

from training.calibrate import calibrate_run, make_material
from training.runs import Run
from training.verbs.common import Arguments, add_source, add_verb, load

_TEXT = """\
fit the temperature and thresholds of runs on digits of held-out writers

The temperature makes a confidence of 0.98 mean that two in a hundred are wrong; it is fitted on held-out digits as they
are and corrupted. The thresholds tell from which confidence on readings may be used unread for a promised error rate, with
a bound on the error; they are chosen on these, on cells of forms that hold them, and on digits drawn by code. The limit
of doubt, from which on it may be no digit at all, is chosen on held-out digits and drawn negatives."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "calibrate", _run, _TEXT)
    add_source(parser)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folders; all on the same drawings")


def _run(arguments: Arguments) -> None:
    runs = [Run.open(folder) for folder in arguments.runs]
    material = make_material(load(arguments))
    for run in runs:
        _print(run, calibrate_run(run, material))


def _print(run: Run, result: dict[str, Any]) -> None:
    print(f"{run.id}: temperature {result['temperature']:.4f}")
    for name, scores in result["scores"].items():
        print(
            f"  {name} ({result['mixture'][name]:,}): NLL {scores['nll_before']:.4f} -> {scores['nll_after']:.4f}, "
            f"Brier {scores['brier_before']:.5f} -> {scores['brier_after']:.5f}"
        )
    for target, entry in result["thresholds"].items():
        if not entry:
            print(f"  error {target}: no threshold keeps the promise on these digits")
            continue
        told = f"accept at {entry['accept_at']:.6f}: coverage {entry['coverage']:.2%}, error {entry['error']:.3%}"
        print(f"  error {target}: {told} (bound {entry['error_upper']:.3%}, n {entry['n']:,})")
        for name, kept in result["kept"][target].items():
            print(f"    {name}: coverage {kept['coverage']:.2%}, error {kept['error']:.3%}")
    doubt = result["doubt"]
    digits = ", ".join(f"{share:.2%} of {name}" for name, share in doubt["digits"].items())
    print(f"  doubt at {result['doubt_at']:.4f}: {digits}; passes {doubt['negatives_passed']:.2%} of negatives")
