"""Coverage-guided fuzzing of the targets with atheris, or a replay of the kept corpus without it.

    pip install '.[dev,fuzz]'                                  # atheris: Linux
    python -m tests.fuzz decode --seconds 300 --work /tmp/fuzz  # stops at the first input that breaks a promise
    python -m tests.fuzz decode --work /tmp/fuzz --keep         # reduce what was found, pack it into tests/fuzz/corpus
    python -m tests.fuzz --replay

A fuzzer that stopped leaves the input as `crash-...`, `oom-...` or `timeout-...` in the work folder.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import seeds, targets

# The targets watch the memory of each input; this is for the fuzzer itself, which grows with all that it has seen.
RSS_MEGABYTES = 4000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", choices=targets.TARGETS)
    parser.add_argument("--seconds", type=int, default=60, help="to fuzz for")
    parser.add_argument("--work", type=Path, help="folder that the inputs lie in; a temporary one if not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="reduce what lies in the work folder and pack it")
    parser.add_argument(
        "--replay", action="store_true", help="run the kept corpus of all targets once, without atheris"
    )
    options = parser.parse_args(arguments)
    if options.replay:
        return _replay()
    if options.target is None:
        parser.error("name a target, or --replay")
    work = (options.work or Path(tempfile.mkdtemp(prefix="digits-fuzz-"))) / options.target
    if options.keep:
        return _keep(options.target, work)
    return _fuzz(options.target, work, options.seconds, options.seed)


def _fuzz(target: str, work: Path, seconds: int, seed: int) -> int:
    found = work / "found"
    found.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.corpus(target):
        (found / name.replace(" ", "-")).write_bytes(data)
    limits = (f"-rss_limit_mb={RSS_MEGABYTES}", f"-max_len={seeds.MAX_BYTES}", "-timeout=60")
    return _engine(
        target,
        *(f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={work}/", "-print_final_stats=1"),
        *(*limits, str(found)),
    )


def _keep(target: str, work: Path) -> int:
    reduced = work / "reduced"
    shutil.rmtree(reduced, ignore_errors=True)
    reduced.mkdir()
    status = _engine(target, "-merge=1", f"-rss_limit_mb={RSS_MEGABYTES}", str(reduced), str(work / "found"))
    seeds.pack(target, [path.read_bytes() for path in reduced.iterdir()])
    return status


def _engine(target: str, *flags: str) -> int:
    command = [sys.executable, "-m", "tests.fuzz.engine", target, *flags]
    return subprocess.run(command, check=False).returncode


def _replay() -> int:
    """Run every input once, print how many; raises what an input breaks, with its name."""
    for target in targets.TARGETS:
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
