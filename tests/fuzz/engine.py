"""The fuzzer itself: `python -m tests.fuzz.engine TARGET LIBFUZZER-FLAGS...`; `python -m tests.fuzz` gives the flags."""

import sys

import atheris

# Modules that tell the fuzzer which of their branches an input took.
INSTRUMENTED = ["service", "PIL", "python_multipart", "zipfile"]


def main(target: str, *flags: str) -> None:
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz import targets
    # To merge, libFuzzer starts itself anew by this name, through a shell.
    name = f"{sys.executable} -m tests.fuzz.engine {target}"
    atheris.Setup([name, *flags], lambda data: targets.check(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
