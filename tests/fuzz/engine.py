"""The fuzzer itself: `python -m tests.fuzz.engine TARGET LIBFUZZER-FLAGS...`; `python -m tests.fuzz` gives the flags."""

import hashlib
import sys
from pathlib import Path

import atheris

# Modules that tell the fuzzer which of their branches an input took.
INSTRUMENTED = ["service", "PIL", "python_multipart", "zipfile"]


def main(target: str, *flags: str) -> None:
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz import targets
    prefix = next((flag.partition("=")[2] for flag in flags if flag.startswith("-artifact_prefix=")), "")

    def check(data: bytes) -> None:
        try:
            targets.check(target, data)
        except BaseException:
            # libFuzzer saves an input that kills the process, but not always one at which Python raised.
            Path(f"{prefix}crash-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}").write_bytes(data)
            raise

    # To merge, libFuzzer starts itself anew by this name, through a shell.
    name = f"{sys.executable} -m tests.fuzz.engine {target}"
    atheris.Setup([name, *flags], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
