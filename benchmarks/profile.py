"""A picture of where the service spends its time while 16 connections ask for readings: a flame graph by py-spy.

python -m benchmarks.profile
python -m benchmarks.profile --kind 64 --output cells.svg
"""

import argparse
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.bodies import write_bodies
from benchmarks.compare import wrk
from benchmarks.pictures import KINDS, write_pictures
from benchmarks.servers import DIGITS, ROOT, install, running

# An environment of its own, for the sampler; the service's is sampled.
SAMPLER = replace(DIGITS, name="py-spy", packages=("py-spy==0.4.3",))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, default="28", help="sides of the pictures")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "performance-profile.svg")
    options = parser.parse_args(arguments)
    for server in (DIGITS, SAMPLER):
        install(server)
    with tempfile.TemporaryDirectory() as scratch:
        pictures = write_pictures(Path(scratch) / "pictures", options.kind, 1024)
        bodies = write_bodies(pictures, "raw", 1, Path(scratch) / "bodies")
        with running(DIGITS) as usage:
            load = threading.Thread(target=wrk, args=(DIGITS, DIGITS.path, bodies, 16, options.seconds + 2))
            load.start()
            _sample(usage.pid, options)
            load.join()
    return 0


def _sample(pid: int, options: argparse.Namespace) -> None:
    # By function, at a rate that no timer of the service is in step with.
    how = ["--function", "--rate", "487", "--duration", str(options.seconds)]
    output = ["--format", "flamegraph", "--output", str(options.output)]
    subprocess.run([str(SAMPLER.bin / "py-spy"), "record", *how, *output, "--pid", str(pid)], check=True)
    # The sampler writes its command line there, with the paths of this machine.
    drawn = re.sub(r'(<text id="title"[^>]*>)[^<]*', r"\1Where the time goes", options.output.read_text())
    options.output.write_text(drawn)


if __name__ == "__main__":
    sys.exit(main())
