"""Settings: the only reader of the environment.

Read once at start, validated, frozen, handed inward. A bad value stops the start with a message that names the
variable, the value and what is allowed.
"""

import difflib
import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from service.errors import SettingError

PREFIX = "DIGITS_"
CLIENT_KEY = "DIGITS_API_KEY"
MIB = 2**20

# Variables with our prefix that are not the service's: training's, and what Kubernetes sets for a Service "digits".
_FOREIGN = ("DIGITS_DATA_DIR", "DIGITS_QMNIST_DIR", "DIGITS_SERVICE_", "DIGITS_PORT_")

_ORIGIN = re.compile(r"https?://[^/\s?#@]+")

Positive = Annotated[int, Field(ge=1)]


def released_model(file: str = "digits.onnx") -> Path:
    """A released model: inside the wheel where the package was installed, in `models/` of a checkout."""
    packaged = Path(__file__).parent / "models" / file
    return packaged if packaged.exists() else Path(__file__).parent.parent / "models" / file


def released_field_model() -> Path:
    """The released network for fields."""
    return released_model("columns.onnx")


class Settings(BaseModel):
    """Everything that can be set, with production-safe defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one")
    workers: int = Field(1, ge=1, le=256, description="processes; one core each")
    model_path: Path = Field(default_factory=released_model, description="ONNX model to serve")
    field_model_path: Path = Field(
        default_factory=released_field_model, description="ONNX model of columns, for fields of several digits"
    )
    max_image_bytes: Positive = Field(16 * MIB, description="bytes of one picture")
    max_batch_bytes: Positive = Field(64 * MIB, description="bytes of one batch request")
    max_batch_items: Positive = Field(256, description="pictures in one batch request")
    max_image_pixels: Positive = Field(
        20_000_000,
        description="pixels of one picture, checked before decoding; half of a WebP, which its library holds four times over",
    )
    max_in_flight: Positive = Field(128, description="requests worked on at a time; beyond, 429")
    max_in_flight_images: Positive = Field(1024, description="pictures worked on at a time; beyond, 429")
    max_in_flight_bytes: Positive = Field(128 * MIB, description="bytes of bodies held at a time; beyond, 429")
    max_timeout_ms: Positive = Field(30_000, description="milliseconds a request may take; callers may ask for less")
    max_unpacked_bytes: Positive = Field(64 * MIB, description="bytes of one archive, unpacked")
    api_keys: tuple[str, ...] = Field(
        (), description="keys of which a request must carry one, separated by commas, or @FILE with one a line"
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="origins whose web pages may ask, such as https://forms.example.org, separated by commas; * for all",
    )
    root_path: str = Field(
        "", pattern=r"^(/[^/\s]+)*$", description="path under which a proxy serves the service, such as /digits"
    )
    forwarded_allow_ips: str = Field(
        "127.0.0.1", description="proxies whose X-Forwarded headers count: addresses or networks, separated by commas"
    )
    drain_seconds: float = Field(
        5.0, ge=0, le=3600, description="seconds to serve on after SIGTERM, while balancers notice"
    )
    accept_at: float | None = Field(
        None, ge=0, le=1, description="least confidence to accept at, instead of the threshold in the model's record"
    )
    metrics_dir: Path | None = Field(
        None, description="folder, best on a tmpfs, for the metric files of several workers; a temporary one if unset"
    )
    log_format: Literal["text", "json"] = Field("text", description="form of the log lines")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severity to log")

    @field_validator("api_keys", mode="before")
    @classmethod
    def _read_keys(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not value.startswith("@"):
            keys = value.split(",")
        else:
            try:
                keys = Path(value[1:]).read_text(encoding="utf-8").splitlines()
            except OSError as exc:
                raise ValueError(f"the file cannot be read: {exc.strerror}") from exc
        keys = [key.strip() for key in keys if key.strip()]
        if not keys:
            raise ValueError("there is no key in it")
        return tuple(keys)

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        origins = tuple(origin.strip() for origin in value.split(",") if origin.strip())
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin: http or https, a host, a port if it is another than usual")
        return origins

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, **overrides: object) -> "Settings":
        """Settings from `DIGITS_*` variables, an empty one counting as unset; `overrides` win where not None.

        Raises:
            SettingError: a value does not parse or is out of range.
        """
        values: dict[str, object] = {
            field: value for field in cls.model_fields if (value := environ.get(variable(field), "").strip())
        }
        values |= {field: value for field, value in overrides.items() if value is not None}
        try:
            return cls(**values)  # type: ignore[arg-type]
        except ValidationError as exc:
            raise SettingError("\n".join(_explain(error) for error in exc.errors())) from exc


def traces_are_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard variables of OpenTelemetry name a place to send traces to.

    Raises:
        SettingError: they do, but what sends them is not installed.
    """
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    named = next((name for name in endpoints if environ.get(name)), None)
    if named is None or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise SettingError(f"{named} is set, but OpenTelemetry is not installed: pip install 'digits[otel]'")
    return True


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def client_key(environ: Mapping[str, str] = os.environ) -> str | None:
    """The API key with which the command line asks a service; not an option, since all users see those of a process."""
    return environ.get(CLIENT_KEY, "").strip() or None


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """A warning for each variable with our prefix that no setting reads, as a misspelt one would be."""
    known = [variable(field) for field in Settings.model_fields]
    warnings = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(_FOREIGN):
            near = difflib.get_close_matches(name, known, n=1)
            warnings.append(f"{name} is set but is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return warnings


def _explain(error: Mapping[str, object]) -> str:
    location = error["loc"]
    assert isinstance(location, tuple)
    field = str(location[0])
    # A key must not end up in a log.
    value = "..." if field == "api_keys" else error["input"]
    message = f"{variable(field)}={value!r} is not allowed: {_lower(str(error['msg']))}"
    if field == "port" and str(value).startswith("tcp://"):
        message += " (Kubernetes sets this for a Service named digits; set enableServiceLinks: false in the pod)"
    return message + f" [{Settings.model_fields[field].description}]"


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
