"""The shapes of requests and answers, for OpenAPI and for whoever reads it.

Answers are not built from these models: validating what the service itself just made costs more than the network.
A test compares every kind of answer with them instead.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from service.checks import CHECKS
from service.decisions import DEFAULT_TARGET_ERROR, TARGET_ERRORS, Decision, Reason
from service.paths import MAX_DIGITS, Constraints

# A 7 of 24x24 pixels, for the examples.
_SEVEN = (
    "iVBORw0KGgoAAAANSUhEUgAAABgAAAAYCAAAAADFHGIkAAAAZ0lEQVR42mP8xYAdMDHQXoIFSrcchTKyfCE0I9RVLVDxowzbUSVg"
    "wBOmA82OFgZf7JYftcbuqs0MNdglpllj98dmBn3sEhfhVqNJHM3CHiQtSBpQJBBuRZVAciuqxDRkDRhhRdeoBQDwKRPo/GPaeAAA"
    "AABJRU5ErkJggg=="
)


def _promised(value: float) -> float:
    if value not in TARGET_ERRORS:
        raise ValueError(f"must be one of {', '.join(map(str, TARGET_ERRORS))}")
    return value


class DecideOptions(BaseModel):
    """Query parameters of all reading routes."""

    model_config = ConfigDict(extra="forbid")

    target_error: Annotated[float, AfterValidator(_promised)] = Field(
        DEFAULT_TARGET_ERROR,
        description="Promised error rate among the accepted; picks the threshold from the model's record.",
        json_schema_extra={"enum": list(TARGET_ERRORS)},
    )
    accept_at: float | None = Field(
        None, ge=0, le=1, description="Least confidence to accept at; wins over `target_error`."
    )


class ReadOptions(DecideOptions):
    """Query parameters of the routes that read digits."""

    include: Literal["image"] | None = Field(
        None, description="`image` adds the exact 28x28 picture the network saw, as a base64 PNG."
    )


_LENGTH = re.compile(r"([0-9]{1,2})(?:-([0-9]{1,2}))?")
# That the second is no less than the first, no pattern can say; `format` names what is meant.
_LENGTH_SCHEMA = {
    "anyOf": [
        {"type": "string", "format": "length-range", "pattern": "^[0-9]{1,2}(-[0-9]{1,2})?$"},
        {"type": "integer", "minimum": 1, "maximum": MAX_DIGITS},
        {"type": "null"},
    ]
}


def _length(value: object) -> object:
    """A length or a range of lengths as text; a JSON item may give a number."""
    if value is None:
        return None
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _LENGTH.fullmatch(text) if isinstance(text, str) else None
    if found is None or not 1 <= int(found[1]) <= int(found[2] or found[1]) <= MAX_DIGITS:
        raise ValueError(f"must be a number of digits such as 5, or a range such as 3-8, of 1 to {MAX_DIGITS}")
    return text


class FieldItemOptions(BaseModel):
    """What is known of the number in one field."""

    length: Annotated[str | None, BeforeValidator(_length), WithJsonSchema(_LENGTH_SCHEMA)] = Field(
        None,
        description=f"Number of digits, `5`, or a range, `3-8`, of 1 to {MAX_DIGITS}.",
        examples=["5"],
    )
    check: Literal["luhn", "mod11", "ean"] | None = Field(
        None, description="Check digit at the end: ISO/IEC 7812-1; ISO 2108 with ISBN-10's weights; GS1."
    )
    accept_at: float | None = Field(
        None, ge=0, le=1, description="Least confidence to accept at; wins over `target_error`."
    )

    def constraints(self) -> Constraints:
        low, _, high = (self.length or "").partition("-")
        return Constraints((int(low), int(high or low)) if low else None, CHECKS[self.check] if self.check else None)


class FieldOptions(FieldItemOptions, DecideOptions):
    """Query parameters of the routes that read fields."""


class ModelName(BaseModel):
    name: str = Field(examples=["digits"])
    version: str = Field(examples=["1.2.0"])
    sha256: str = Field(examples=["9f2c6c1e0f5d4b8a" * 4])


class ItemPrediction(BaseModel):
    """The reading of one picture."""

    digit: int | None = Field(ge=0, le=9, description="Best guess; null only where there is no ink.", examples=[7])
    confidence: float = Field(ge=0, le=1, description="The largest of `probabilities`.", examples=[0.9987])
    probabilities: list[float] | None = Field(
        description="Ten calibrated probabilities in digit order; null where there is no ink.",
        examples=[[0.0, 0.0002, 0.0001, 0.0, 0.0, 0.0, 0.0, 0.9987, 0.0, 0.001]],
    )
    reject: float = Field(ge=0, le=1, description="Probability that this is no digit.", examples=[0.0003])
    decision: Decision = Field(description="accept: use it unread; review: let a person look; reject: no digit.")
    reasons: list[Reason] = Field(description="Why it was not accepted.", examples=[[]])
    image: str | None = Field(None, description="Only with `include=image`: the 28x28 the network saw, base64 PNG.")


class Prediction(ItemPrediction):
    model: ModelName


class ItemError(BaseModel):
    code: str = Field(examples=["invalid_image"])
    title: str = Field(examples=["Invalid image"])
    detail: str = Field(examples=["the PNG data are truncated or corrupt"])


class BatchResult(BaseModel):
    index: int = Field(examples=[0])
    id: str | int = Field(
        description="The caller's id, the file's name, the archive member's name or `page-3`.", examples=["c17"]
    )
    prediction: ItemPrediction | None
    error: ItemError | None = Field(examples=[None])


class Counts(BaseModel):
    items: int = Field(examples=[1])
    accept: int = Field(examples=[1])
    review: int = Field(examples=[0])
    reject: int = Field(examples=[0])
    error: int = Field(examples=[0])


class BatchPrediction(BaseModel):
    """One entry per picture, in the order they came."""

    results: list[BatchResult]
    counts: Counts
    model: ModelName


BoxEdges = Annotated[list[int], Field(min_length=4, max_length=4, examples=[[12, 8, 40, 61]])]


class FieldDigit(BaseModel):
    """One digit of a field."""

    digit: int = Field(ge=0, le=9, examples=[9])
    confidence: float = Field(ge=0, le=1, examples=[0.9987])
    probabilities: list[float] = Field(
        description="Ten calibrated probabilities in digit order.",
        examples=[[0.0, 0.0002, 0.0001, 0.0, 0.001, 0.0, 0.0, 0.0, 0.0, 0.9987]],
    )
    box: BoxEdges = Field(description="Left, top, right, bottom in pixels of the upright upload.")


class FieldSeparator(BaseModel):
    kind: Literal["comma", "point", "dash", "currency", "star", "mark"]
    box: BoxEdges


class FieldAlternative(BaseModel):
    text: str = Field(examples=["90710"])
    confidence: float = Field(ge=0, le=1, examples=[0.0042])


class ItemField(BaseModel):
    """The reading of one field."""

    text: str = Field(description="The number's digits; empty where there is none.", examples=["90210"])
    confidence: float = Field(ge=0, le=1, description="Of the whole number.", examples=[0.9931])
    alternatives: list[FieldAlternative] = Field(max_length=3, description="Other numbers it may be.")
    separators: list[FieldSeparator] = Field(description="Marks that were skipped.", examples=[[]])
    digits: list[FieldDigit]
    weakest: int | None = Field(description="Index in `digits` of the one that is least sure.", examples=[2])
    decision: Decision = Field(description="accept: use it unread; review: let a person look; reject: no number.")
    reasons: list[Reason] = Field(description="Why it was not accepted.", examples=[[]])


class FieldPrediction(ItemField):
    model: ModelName


class FieldBatchResult(BaseModel):
    index: int = Field(examples=[0])
    id: str | int = Field(
        description="The caller's id, the file's name, the archive member's name or `page-3`.", examples=["c17"]
    )
    prediction: ItemField | None
    error: ItemError | None = Field(examples=[None])


class FieldBatchPrediction(BaseModel):
    """One entry per field, in the order they came."""

    results: list[FieldBatchResult]
    counts: Counts
    model: ModelName


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = Field(examples=["urn:digits:problem:invalid_image"])
    title: str = Field(examples=["Invalid image"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["the PNG data is truncated or corrupt"])
    instance: str = Field(examples=["/predict"])
    code: str = Field(examples=["invalid_image"])
    request_id: str = Field(examples=["5f0c1a7e2b9d4c3f8a6e1d2c3b4a5f60"])


class ImageRequest(BaseModel):
    image: str = Field(
        min_length=1,
        description="The picture: base64, or a `data:` URL.",
        examples=[_SEVEN],
        json_schema_extra={"format": "byte"},
    )


class BatchImage(ImageRequest):
    id: str | int | None = Field(None, description="Echoed in the answer.", examples=["c17"])


class BatchRequest(BaseModel):
    images: list[BatchImage | Any] = Field(
        min_length=1, description="One object a picture; an entry that is none is answered with its error."
    )


class BatchField(BatchImage, FieldItemOptions):
    pass


class FieldBatchRequest(BaseModel):
    images: list[BatchField | Any] = Field(
        min_length=1, description="One object a field; an entry that is none is answered with its error."
    )


class Live(BaseModel):
    live: bool


class Ready(BaseModel):
    ready: bool


class Health(BaseModel):
    live: bool
    ready: bool
    version: str = Field(description="Version of the service.", examples=["0.1.0"])
    model: ModelName | None


class Tensor(BaseModel):
    name: str = Field(examples=["image"])
    type: str = Field(examples=["uint8"])
    shape: list[int | str] = Field(examples=[["N", 28, 28]])
    description: str = Field(examples=["white ink on black, MNIST geometry"])


class ModelDescription(ModelName):
    """The record of the model that answers."""

    architecture: str = Field(examples=["ours"])
    preprocessing_version: str = Field(examples=["1"])
    labels: list[int] = Field(examples=[list(range(10))])
    input: Tensor
    outputs: list[Tensor]
    thresholds: dict[str, Any] = Field(description="By promised error rate: threshold, coverage, error, its bound, n.")
    fields: dict[str, Any] = Field(description="The record of the second network, which fields are read with.")
    calibration: dict[str, Any] = Field(description="Temperature and what it was fitted on.")
    doubt_at: float = Field(description="Probability of no digit (`reject`) from which on a reading is not accepted.")
    training: dict[str, Any] = Field(description="Data hashes, seed, commit, recipe.")
    metrics: dict[str, Any] = Field(description="Measured accuracy and calibration.")


# --- Open Inference Protocol -------------------------------------------------------------------------------------


class InferenceServer(BaseModel):
    name: str = Field(examples=["digits"])
    version: str = Field(description="Version of the service.", examples=["0.1.0"])
    extensions: list[str] = Field(examples=[["binary_tensor_data"]])


class ServerLive(BaseModel):
    live: bool


class ServerReady(ServerLive):
    ready: bool


class InferenceModelReady(BaseModel):
    name: str = Field(examples=["digits"])
    ready: bool


class TensorMetadata(BaseModel):
    name: str = Field(examples=["probabilities"])
    datatype: str = Field(examples=["FP32"])
    shape: list[int] = Field(description="-1 stands for the number of pictures.", examples=[[-1, 10]])
    parameters: dict[str, Any] | None = None


class InferenceModel(BaseModel):
    name: str = Field(examples=["digits"])
    versions: list[str] = Field(examples=[["1.2.0"]])
    platform: str = Field(examples=["onnxruntime_onnx"])
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class _RequestInput(BaseModel):
    name: Literal["image"]
    parameters: dict[str, Any] | None = Field(
        None, description="`binary_data_size`: so many bytes after the JSON are the data.", examples=[None]
    )


_Extent = Annotated[int, Field(ge=1)]


class PicturesInput(_RequestInput):
    """Pictures of any size."""

    shape: list[_Extent] = Field(min_length=1, max_length=2, description="`[N]` or `[N, 1]`.", examples=[[1]])
    datatype: Literal["BYTES"]
    data: list[Annotated[str, Field(json_schema_extra={"format": "byte"})]] = Field(
        min_length=1, description="In base64.", examples=[[_SEVEN]]
    )


class DigitsInput(_RequestInput):
    """Normalised digits, white ink on black."""

    shape: list[_Extent] = Field(min_length=3, max_length=3, description="`[N, 28, 28]`.", examples=[[1, 28, 28]])
    datatype: Literal["UINT8"]
    data: list[Annotated[int, Field(ge=0, le=255)] | list[Any]] = Field(
        min_length=1, description="Nested or flat, row by row.", examples=[[0] * 784]
    )


class RequestedOutput(BaseModel):
    name: Literal["probabilities", "reject", "digit", "decision"]
    parameters: dict[str, Any] | None = Field(None, description="`binary_data`: true for data after the JSON.")


class InferenceRequest(BaseModel):
    id: str | None = Field(None, description="Echoed in the answer.", examples=["c17"])
    parameters: dict[str, Any] | None = Field(None, description="`binary_data_output`: true for all outputs in binary.")
    inputs: list[PicturesInput | DigitsInput] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] | None = Field(None, description="All of them by default.")


class ResponseOutput(BaseModel):
    name: str = Field(examples=["reject"])
    shape: list[int] = Field(examples=[[1]])
    datatype: str = Field(examples=["FP32"])
    parameters: dict[str, Any] | None = None
    data: list[float | str] | None = Field(None, examples=[[0.0003]])


class InferenceResponse(BaseModel):
    model_name: str = Field(examples=["digits"])
    model_version: str = Field(examples=["1.2.0"])
    id: str | None = Field(None, examples=["c17"])
    outputs: list[ResponseOutput]


class InferenceError(BaseModel):
    error: str = Field(examples=["the tensor 'image' has 783 values, not the 784 of its shape"])
