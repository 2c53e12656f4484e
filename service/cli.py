"""`digits`: serve the model, read pictures with it from the command line, and say what it is."""

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from service import __version__
from service.errors import InvalidRequest, ServiceError, StartupError
from service.settings import Settings

# Pictures of other formats are refused by the reader; in a folder, files that do not look like pictures are left out.
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp"})
_BATCH = 64

_COLUMNS = ("path", "digit", "confidence", "decision", "reasons", "error")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit status: 0 done, 1 some pictures failed, 2 cannot start."""
    options = _parser().parse_args(arguments)
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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the model over HTTP", description="Serve the model over HTTP.")
    serve.add_argument("--host", help="address to listen on (DIGITS_HOST, 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on (DIGITS_PORT, 8000)")
    serve.add_argument("--workers", help="processes, one core each (DIGITS_WORKERS, 1)")
    serve.set_defaults(run=_serve)

    predict = commands.add_parser(
        "predict", help="read pictures of single digits", description="Read pictures of single digits."
    )
    predict.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="picture, or folder of pictures")
    predict.add_argument("--format", choices=("table", "jsonl", "csv"), default="table", help="what to print (table)")
    predict.set_defaults(run=_predict)

    info = commands.add_parser("info", help="the model's record", description="Print the model's record as JSON.")
    info.set_defaults(run=_info)
    for command in (serve, predict, info):
        command.add_argument("--model", dest="model_path", help="ONNX model (DIGITS_MODEL_PATH, the released one)")
    return parser


def _serve(options: argparse.Namespace) -> int:
    from service.server import serve

    serve(
        Settings.from_env(host=options.host, port=options.port, workers=options.workers, model_path=options.model_path)
    )
    return 0


def _info(options: argparse.Namespace) -> int:
    from service.classifier import DigitClassifier

    settings = Settings.from_env(model_path=options.model_path)
    record = DigitClassifier.load(settings.model_path).record
    print(json.dumps(vars(record), indent=2, default=vars))
    return 0


@dataclass(frozen=True)
class _Row:
    """One picture's line of output."""

    path: Path
    answer: dict[str, Any]

    @property
    def failed(self) -> bool:
        return "error" in self.answer


def _predict(options: argparse.Namespace) -> int:
    settings = Settings.from_env(model_path=options.model_path)
    paths = list(_pictures(options.paths))
    if not paths:
        print(f"digits: no pictures ({', '.join(sorted(_SUFFIXES))}) in the given folders", file=sys.stderr)
        return 1
    write = {"table": _table, "jsonl": _jsonl, "csv": _csv}[options.format](sys.stdout)
    failed = 0
    for row in _with_progress(_read(settings, paths), len(paths)):
        write(row)
        failed += row.failed
    if failed:
        print(f"digits: {failed} of {len(paths)} pictures could not be read", file=sys.stderr)
    return 1 if failed else 0


def _pictures(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as they are named; of folders, the pictures in them and below."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
        else:
            yield path


def _read(settings: Settings, paths: Sequence[Path]) -> Iterator[_Row]:
    from service.classifier import DigitClassifier
    from service.reader import Reader

    reader = Reader(
        DigitClassifier.load(settings.model_path), max_pixels=settings.max_image_pixels, accept_at=settings.accept_at
    )
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        results = reader.read([_load(path, settings.max_image_bytes) for path in batch])
        for path, result in zip(batch, results, strict=True):
            yield _Row(path, _answer(result))


def _load(path: Path, limit: int) -> bytes | ServiceError:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as exc:
        return InvalidRequest(f"cannot be opened: {exc.strerror}")
    return data if len(data) <= limit else InvalidRequest(f"has more than {limit} bytes; at most that many are allowed")


def _answer(result: Any) -> dict[str, Any]:
    if isinstance(result, ServiceError):
        return {"error": {"code": result.code, "detail": result.detail}}
    return {
        "digit": result.digit,
        "confidence": result.confidence,
        "probabilities": None if result.probabilities is None else result.probabilities.tolist(),
        "reject": result.reject,
        "decision": result.decision,
        "reasons": list(result.reasons),
    }


def _cells(row: _Row) -> list[str]:
    answer = row.answer
    if row.failed:
        return [str(row.path), "", "", "", "", answer["error"]["detail"]]
    digit = "" if answer["digit"] is None else str(answer["digit"])
    return [str(row.path), digit, f"{answer['confidence']:.4f}", answer["decision"], " ".join(answer["reasons"]), ""]


def _table(out: TextIO) -> Callable[[_Row], None]:
    def write(row: _Row) -> None:
        path, digit, confidence, decision, reasons, error = _cells(row)
        remark = f"  ({reasons or error})" if reasons or error else ""
        print(f"{digit or '-':5}  {confidence or '-':10}  {decision or 'error':8}  {path}{remark}", file=out)

    print(f"{'digit':5}  {'confidence':10}  {'decision':8}  path", file=out)
    return write


def _jsonl(out: TextIO) -> Callable[[_Row], None]:
    return lambda row: print(json.dumps({"path": str(row.path), **row.answer}), file=out)


def _csv(out: TextIO) -> Callable[[_Row], None]:
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)

    def write(row: _Row) -> None:
        writer.writerow(_cells(row))

    return write


def _with_progress(rows: Iterable[_Row], total: int) -> Iterator[_Row]:
    """Show on a terminal how far the reading is; say nothing where standard error is no terminal."""
    shown = sys.stderr.isatty() and not sys.stdout.isatty()
    for done, row in enumerate(rows, start=1):
        if shown:
            filled = 30 * done // total
            end = "\n" if done == total else ""
            print(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{total}", end=end, file=sys.stderr, flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main())
