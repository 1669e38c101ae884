"""What requests may hold: bodies strictly typed, queries as words; unknown fields are refused in both."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from gatescope.app.http.encoding import Encoding
from gatescope.models.inspection.generate import LONGEST
from gatescope.models.inspection.interventions import Intervention

BODY = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
QUERY = ConfigDict(extra="forbid")

Model = Annotated[str, Field(min_length=1, max_length=200, description="id of a network, from /api/models")]
Token = Annotated[int, Field(ge=0, le=1_000_000)]
ArrayEncoding = Annotated[Encoding, Field(description="arrays as base64 of little-endian float16, or as JSON lists")]


class InterventionBody(BaseModel):
    """A signal to overwrite before anything reads it."""

    model_config = BODY
    layer: int = Field(0, ge=0, description="the layer, counted from 0 at the input")
    signal: str = Field(max_length=40, description="id of the signal")
    units: list[Annotated[int, Field(ge=0)]] | Literal["all"] = Field("all", description="which units")
    value: float = Field(ge=-1e6, le=1e6, description="what they are set to")
    first: int = Field(0, ge=0, alias="from", description="the first step at which they are")
    last: int | None = Field(
        None, ge=1, alias="to", description="the step before which it ends; null is the text's end"
    )

    def intervention(self) -> Intervention:
        """The same in the words of the networks."""
        units = None if self.units == "all" else tuple(self.units)
        return Intervention(self.layer, self.signal, self.value, units, self.first, self.last)


Interventions = Annotated[
    list[InterventionBody],
    Field(max_length=1000, description="signals to overwrite; of two for one place the later counts"),
]


TEXT = "the characters or words to read; the limit is a setting"
TARGETS = "what should come out where that is not the next input: one label, class number or list of numbers a step"


def _is_target(value: object, check: ValidatorFunctionWrapHandler) -> int | str | list[float]:
    try:
        target: int | str | list[float] = check(value)
    except ValidationError:
        raise ValueError("must be a label, the number of a class, or a list of numbers") from None
    return target


Target = Annotated[int | str | list[float], WrapValidator(_is_target)]
Row = Annotated[list[float], Field(min_length=1)]


class InputQuery(BaseModel):
    """What a network is to read, as an address says it."""

    model_config = QUERY
    model: Model
    text: str | None = Field(None, description=TEXT)
    values: str | None = Field(None, description="the numbers to read: steps with ; between, the numbers of one with ,")
    target: str | None = Field(None, description=f"{TARGETS}; steps with ; between, the numbers of one with ,")


class InputBody(BaseModel):
    """What a network is to read, as a body says it: a text, tokens or numbers."""

    model_config = BODY
    model: Model
    text: str | None = Field(None, description=TEXT)
    tokens: list[Token] | None = Field(None, description="the tokens to read, in place of a text")
    values: list[Row] | None = Field(None, description="the numbers to read, a list of them for each step")
    targets: list[Target] | None = Field(None, description=TARGETS)
    interventions: Interventions = []


class LossOption(BaseModel):
    """What is differentiated."""

    loss: Literal["every", "last"] = Field(
        "every", description="differentiate −ln p(token t+1) summed over every t, or the last predicted token's alone"
    )


class TraceOptions(LossOption):
    """How a trace is made."""

    backward: bool = Field(True, description="record the backward pass too")
    precision: Literal["float32", "float64"] = "float32"


class FileQuery(InputQuery, TraceOptions):
    """A trace to be had as a file, as an address says it."""

    signals: str | None = Field(None, description="ids of the signals to record, with commas between; else all")


class StreamQuery(FileQuery):
    """A trace to be had as an event stream, as an address says it."""

    encoding: ArrayEncoding = "float16"


class FileBody(InputBody, TraceOptions):
    """A trace to be had as a file, as a body says it."""

    signals: str | list[str] | None = Field(None, description="ids of the signals to record; else all")


class StreamBody(FileBody):
    """A trace to be had as an event stream, as a body says it."""

    encoding: ArrayEncoding = "float16"


class UploadQuery(BaseModel):
    """How a network is brought."""

    model_config = QUERY
    dry_run: bool = Field(False, description="only say what is recognised, and store nothing")


class GenerateBody(BaseModel):
    """A text to be continued."""

    model_config = BODY
    model: Model
    prompt: str = Field(description="the characters to read first; the limit is a setting")
    length: int = Field(200, ge=1, le=LONGEST, description="how many characters to write")
    temperature: float = Field(1.0, ge=0, le=100, description="divides the logits; 0 always takes the likeliest")
    top_k: int | None = Field(None, ge=1, le=1_000_000, description="choose among this many likeliest; else among all")
    seed: int = Field(0, ge=0, le=2**53 - 1, description="the same seed writes the same text")
    interventions: Interventions = []
    encoding: ArrayEncoding = "float16"


class VerificationQuery(InputQuery, LossOption):
    """A reading whose gradients are to be checked, as an address says it."""


class VerificationBody(InputBody, LossOption):
    """A reading whose gradients are to be checked, as a body says it."""


class UnitOptions(BaseModel):
    """Which unit is looked at."""

    layer: int = Field(0, ge=0, description="the layer, counted from 0 at the input; each direction is one")
    unit: int = Field(0, ge=0, description="the unit, counted from 0")


class ArithmeticQuery(InputQuery, UnitOptions):
    """One unit of one layer while something is read, as an address says it."""


class ArithmeticBody(InputBody, UnitOptions):
    """One unit of one layer while something is read, as a body says it."""


class StateOptions(BaseModel):
    """Which state is looked at."""

    layer: int = Field(0, ge=0, description="the layer, counted from 0 at the input")
    signal: str | None = Field(None, max_length=40, description="id of one of its states; its output unless said")


class InfluenceQuery(InputQuery, StateOptions):
    """A reading whose losses are sent back one by one, as an address says it."""


class InfluenceBody(InputBody, StateOptions):
    """A reading whose losses are sent back one by one, as a body says it."""
