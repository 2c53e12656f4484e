"""`digits`: serve the model, read pictures with it from the command line, and say what it is."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from service import __version__, completion, listing, scans
from service.errors import InvalidRequest, ServiceError, SettingError, StartupError
from service.listing import Row
from service.scans import Scan
from service.settings import Settings, client_key

_BATCH_ITEMS = 64
_BATCH_BYTES = 16 * 2**20

_PREDICT_EPILOG = """Exit status: 0 all pictures were read, 1 some could not be, 2 it could not begin or the service
stopped answering. The API key that a service asks for is taken from DIGITS_API_KEY."""


_CALIBRATE_TEXT = """Fit thresholds on results that a person reviewed, so that the promised error rate holds for your
forms, your writers and your scanner. The model is not trained again; DIGITS_ACCEPT_AT applies a threshold."""

_CALIBRATE_EPILOG = """The CSV file (commas, semicolons or tabs) has a header and one line for each reviewed reading. Columns are found
by name, in any order and case; others are ignored:
  confidence  or conf, probability, score: 0 to 1, as the service answered
  correct     or right, is_correct, ok, match, result: 1 or 0, true or false, yes or no, right or wrong;
              instead of it wrong, is_wrong or mistake; or the digit (digit, predicted, prediction, read)
              and the truth (truth, label, true_digit, actual, expected, reviewed, target)
  reasons     if there: readings kept from being accepted by another reason than their confidence count as
              not accepted
The lines must be a fair sample of what is read: if only doubtful readings were reviewed, so is the threshold.

Exit status: 0 there is a threshold for every wanted rate, 1 for some there is none, 2 the file cannot be used."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit status, see `digits predict --help`."""
    options = _parser().parse_args(arguments)
    # A name that the terminal's encoding lacks must not end the reading of the others.
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        status: int = options.run(options)
    except StartupError as error:
        print(f"digits: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe, `head` say, has seen enough; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="digits", description="Reads handwritten digits.")
    parser.add_argument("--version", action="version", version=f"digits {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    serve = commands.add_parser("serve", help="serve the model over HTTP", description="Serve the model over HTTP.")
    serve.add_argument("--host", help="address to listen on (DIGITS_HOST, 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on (DIGITS_PORT, 8000)")
    serve.add_argument("--workers", help="processes, one core each (DIGITS_WORKERS, 1)")
    serve.set_defaults(run=_serve)

    _add_predict(commands.add_parser("predict", help="read pictures of single digits", epilog=_PREDICT_EPILOG))

    _add_calibrate(
        commands.add_parser(
            "calibrate",
            help="fit thresholds on reviewed results",
            epilog=_CALIBRATE_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )

    info = commands.add_parser("info", help="the model's record", description="Print the model's record as JSON.")
    info.set_defaults(run=_info)
    info.add_argument("--url", help="ask the service at this address for its model")
    for command in (serve, commands.choices["predict"], info):
        command.add_argument("--model", dest="model_path", help="ONNX model (DIGITS_MODEL_PATH, the released one)")

    complete = commands.add_parser("completion", help="a script for the shell that completes these commands")
    complete.description = 'Print a script that lets a shell complete these commands: eval "$(digits completion bash)"'
    complete.add_argument("shell", choices=completion.SHELLS)
    complete.set_defaults(run=_completion)
    return parser


def _add_predict(predict: argparse.ArgumentParser) -> None:
    predict.description = "Read pictures of single digits, here or by a service."
    predict.add_argument(
        "paths", nargs="+", metavar="PATH", help="picture, folder of pictures, pattern such as 'scans/**/*.png', or -"
    )
    predict.add_argument("--format", choices=("table", "jsonl", "csv"), default="table", help="what to print (table)")
    predict.add_argument("--url", help="let the service at this address read, such as http://localhost:8000")
    threshold = predict.add_mutually_exclusive_group()
    threshold.add_argument(
        "--target-error", type=float, choices=(0.01, 0.005, 0.001), help="promised error rate of the accepted (0.005)"
    )
    threshold.add_argument("--accept-at", type=_probability, help="least confidence to accept at, 0 to 1")
    predict.set_defaults(run=_predict)


def _add_calibrate(calibrate: argparse.ArgumentParser) -> None:
    calibrate.description = _CALIBRATE_TEXT
    calibrate.add_argument("reviewed", type=Path, metavar="CSV", help="file of reviewed results")
    calibrate.add_argument(
        "--target-error",
        type=_error_rate,
        action="append",
        metavar="RATE",
        help="promised error rate of the accepted, such as 0.002; may be given several times (0.01, 0.005 and 0.001)",
    )
    calibrate.set_defaults(run=_calibrate)


def _error_rate(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no error rate; allowed are numbers between 0 and 1")
    return value


def _probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError
    return value


def _serve(options: argparse.Namespace) -> int:
    from service.server import serve

    serve(
        Settings.from_env(host=options.host, port=options.port, workers=options.workers, model_path=options.model_path)
    )
    return 0


def _info(options: argparse.Namespace) -> int:
    if options.url:
        with _asking(options.url) as client:
            print(json.dumps(client.model(), indent=2))
        return 0
    from service.classifier import DigitClassifier

    settings = Settings.from_env(model_path=options.model_path)
    record = DigitClassifier.load(settings.model_path).record
    print(json.dumps(vars(record), indent=2, default=vars))
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from service import reviewed
    from service.decisions import TARGET_ERRORS

    results = reviewed.read_reviewed(options.reviewed)
    fits = [reviewed.fit(results, rate) for rate in options.target_error or TARGET_ERRORS]
    print(reviewed.describe(results))
    for fit in fits:
        print(reviewed.describe_fit(fit))
    return 0 if all(fit.threshold for fit in fits) else 1


def _completion(options: argparse.Namespace) -> int:
    print(completion.script(options.shell, _parser()), end="")
    return 0


def _predict(options: argparse.Namespace) -> int:
    settings = Settings.from_env(model_path=options.model_path)
    found = list(scans.find(options.paths))
    if not found:
        print(f"digits: no pictures ({', '.join(sorted(scans.SUFFIXES))}) in the given folders", file=sys.stderr)
        return 1
    rows = _read_by_service(options, settings, found) if options.url else _read_here(options, settings, found)
    write = listing.writer(options.format, sys.stdout)
    failed = sum(row.failed for row in listing.with_progress(rows, len(found), write))
    if failed:
        print(f"digits: {failed} of {len(found)} pictures could not be read", file=sys.stderr)
    return 1 if failed else 0


def _read_here(options: argparse.Namespace, settings: Settings, found: Sequence[Scan]) -> Iterator[Row]:
    from service import decisions
    from service.classifier import DigitClassifier
    from service.parallel import in_order, portions
    from service.reader import Reader, Source, is_heavy

    classifier = DigitClassifier.load(settings.model_path)
    reader = Reader(classifier, max_pixels=settings.max_image_pixels, accept_at=settings.accept_at)
    accept_at = options.accept_at
    if options.target_error is not None:
        accept_at = decisions.accept_at_for(options.target_error, classifier.record.thresholds)

    def read(batch: Sequence[Source]) -> list[dict[str, Any]]:
        return [_answer(result) for result in reader.read(batch, accept_at=accept_at)]

    batches = portions(_sources(found, settings), _size, max_items=_BATCH_ITEMS, max_size=_BATCH_BYTES)
    answers = in_order(read, batches, threads=os.cpu_count() or 1, apart=lambda batch: any(map(is_heavy, batch)))
    return (Row(scan.name, answer) for scan, answer in zip(found, answers, strict=True))


def _read_by_service(options: argparse.Namespace, settings: Settings, found: Sequence[Scan]) -> Iterator[Row]:
    from service.client import Options, Refused

    wanted = Options(target_error=options.target_error, accept_at=options.accept_at)
    pictures = (
        source if isinstance(source, bytes) else Refused(source.code, source.detail)
        for source in _sources(found, settings)
    )
    with _asking(options.url) as client:
        results = client.predict_many(pictures, wanted, batch_items=_BATCH_ITEMS, batch_bytes=_BATCH_BYTES)
        for scan, result in zip(found, results, strict=True):
            if isinstance(result, Refused):
                yield Row(scan.name, _error(result.code, result.detail))
            else:
                answer = vars(result) | {"reasons": list(result.reasons)}
                del answer["image"]
                yield Row(scan.name, answer)


@contextlib.contextmanager
def _asking(url: str) -> Iterator[Any]:
    """A client of the service at `url`; that it cannot be asked stops the command with a message."""
    from service.client import Client, Refused, Unreachable

    try:
        client = Client(url, api_key=client_key(), waiting=_say_waiting)
    except ValueError as error:
        raise SettingError(f"--url: {error}") from error
    try:
        with client:
            yield client
    except Unreachable as error:
        raise StartupError(f"{error}") from error
    except Refused as error:
        hint = "; set DIGITS_API_KEY" if error.status == 401 else ""
        raise StartupError(f"the service at {url} refuses: {error.detail}{hint}") from error


def _say_waiting(failure: Exception, seconds: float) -> None:
    print(f"digits: {failure}; trying again in {seconds:.1f} s", file=sys.stderr)


def _sources(found: Iterable[Scan], settings: Settings) -> Iterator[bytes | ServiceError]:
    for scan in found:
        try:
            yield scan.load(settings.max_image_bytes)
        except scans.Unreadable as error:
            yield InvalidRequest(str(error))


def _size(source: Any) -> int:
    return len(source) if isinstance(source, bytes) else 0


def _answer(result: Any) -> dict[str, Any]:
    """What the service answers, number for number: float32 written as such, not widened."""
    import numpy as np

    if isinstance(result, ServiceError):
        return _error(result.code, result.detail)
    answer = {
        "digit": result.digit,
        "confidence": np.float32(result.confidence),
        "probabilities": result.probabilities,
        "reject": np.float32(result.reject),
        "decision": result.decision,
        "reasons": result.reasons,
    }
    read: dict[str, Any] = orjson.loads(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY))
    return read


def _error(code: str, detail: str) -> dict[str, Any]:
    return {"error": {"code": code, "detail": detail}}


if __name__ == "__main__":
    sys.exit(main())
