from typing import Any

from training.runs import Run
from training.verbs.common import Arguments, add_run, add_source, add_verb, load

_TEXT = """\
fit a run's temperature and thresholds on validation digits

The temperature makes a confidence of 0.98 mean that two in a hundred are wrong. The thresholds tell from which
confidence on readings may be used unread for a promised error rate, with a bound on the error."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "calibrate", _run, _TEXT)
    add_source(parser)
    add_run(parser)


def _run(arguments: Arguments) -> None:
    from training.calibrate import calibrate_run

    result = calibrate_run(Run.open(arguments.run), load(arguments).validation)
    print(f"temperature {result['temperature']:.4f}, NLL {result['nll_before']:.4f} -> {result['nll_after']:.4f}")
    for target, entry in result["thresholds"].items():
        if entry:
            told = f"accept at {entry['accept_at']:.6f}: coverage {entry['coverage']:.2%}, error {entry['error']:.3%}"
            print(f"  error {target}: {told} (bound {entry['error_upper']:.3%}, n {entry['n']})")
        else:
            print(f"  error {target}: no threshold keeps the promise on these digits")
