"""Coverage-guided fuzzing of the targets with atheris, or a replay of the kept corpus without it.

    pip install '.[dev,fuzz]'                                  # atheris: Linux
    python -m tests.fuzz decode --seconds 300 --work /tmp/fuzz  # stops at the first input that breaks a promise
    python -m tests.fuzz decode --work /tmp/fuzz --keep         # pack what was found into tests/fuzz/corpus
    python -m tests.fuzz --replay

A fuzzer that stopped leaves the input as `crash-...` (or `oom-...`, `timeout-...`) in the work folder.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Modules that tell the fuzzer which of their branches an input took.
INSTRUMENTED = ["service", "PIL", "python_multipart", "zipfile"]
# The targets watch the memory of each input; this is for the fuzzer itself, which grows with all that it has seen.
RSS_MEGABYTES = 4000
TARGETS = ("request", "decode", "normalize")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="to fuzz for")
    parser.add_argument("--work", type=Path, help="folder that the inputs lie in; a temporary one if not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="reduce what lies in the work folder and pack it")
    parser.add_argument(
        "--replay", action="store_true", help="run the kept corpus of all targets once, without a fuzzer"
    )
    options = parser.parse_args(arguments)
    if options.replay:
        return _replay()
    if options.target is None:
        parser.error("name a target, or --replay")
    work = options.work or Path(tempfile.mkdtemp(prefix="digits-fuzz-"))
    _fuzz(options.target, work / options.target, options)
    return 0


def _fuzz(target: str, work: Path, options: argparse.Namespace) -> None:
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz import seeds, targets
    found, reduced = work / "found", work / "reduced"
    for folder in (found, reduced):
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.corpus(target):
        (found / name.replace(" ", "-")).write_bytes(data)
    flags = [
        f"-rss_limit_mb={RSS_MEGABYTES}",
        f"-artifact_prefix={work}/",
        f"-max_len={seeds.MAX_BYTES}",
        "-timeout=60",
    ]
    if options.keep:
        flags += ["-merge=1", str(reduced), str(found)]
        # libFuzzer ends the process when it has merged; packing is a second call.
        if any(reduced.iterdir()):
            seeds.pack(target, [path.read_bytes() for path in reduced.iterdir()])
            return
    else:
        flags += [f"-max_total_time={options.seconds}", f"-seed={options.seed}", "-print_final_stats=1", str(found)]
    atheris.Setup([sys.argv[0], *flags], lambda data: targets.check(target, data))
    atheris.Fuzz()


def _replay() -> int:
    """Run every input once, print how many; raises what an input breaks, with its name."""
    from tests.fuzz import seeds, targets

    for target in TARGETS:
        count = 0
        for name, data in seeds.corpus(target):
            try:
                targets.check(target, data)
            except Exception as error:
                error.add_note(f"input {name!r} of {target}")
                raise
            count += 1
        print(f"{target}: {count} inputs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
