"""What requests may hold: bodies strictly typed, queries as words; unknown fields are refused in both."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.wire import Encoding
from models.interventions import Intervention

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


class TraceOptions(BaseModel):
    """How a text is traced."""

    model: Model
    loss: Literal["every", "last"] = Field(
        "every", description="differentiate −ln p(token t+1) summed over every t, or the last predicted token's alone"
    )
    backward: bool = Field(True, description="record the backward pass too")
    precision: Literal["float32", "float64"] = "float32"


class FileQuery(TraceOptions):
    """A trace to be had as a file, as an address says it."""

    model_config = QUERY
    text: str = Field(description="the characters to read; the limit is a setting")
    signals: str | None = Field(None, description="ids of the signals to record, with commas between; else all")


class StreamQuery(FileQuery):
    """A trace to be had as an event stream, as an address says it."""

    encoding: ArrayEncoding = "float16"


class FileBody(TraceOptions):
    """A trace to be had as a file, as a body says it: of a text or of tokens."""

    model_config = BODY
    text: str | None = Field(None, description="the characters to read; the limit is a setting")
    tokens: list[Token] | None = Field(None, description="the tokens to read, in place of a text")
    signals: str | list[str] | None = Field(None, description="ids of the signals to record; else all")
    interventions: Interventions = []


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
    length: int = Field(200, ge=1, le=2000, description="how many characters to write")
    temperature: float = Field(1.0, ge=0, le=100, description="divides the logits; 0 always takes the likeliest")
    top_k: int | None = Field(None, ge=1, le=1_000_000, description="choose among this many likeliest; else among all")
    seed: int = Field(0, ge=0, le=2**53 - 1, description="the same seed writes the same text")
    interventions: Interventions = []
    encoding: ArrayEncoding = "float16"


class VerificationQuery(BaseModel):
    """A text whose gradients are to be checked."""

    model_config = QUERY
    model: Model
    text: str = Field(description="the characters to read; the limit is a setting")
    loss: Literal["every", "last"] = Field("every", description="what to differentiate")


class ArithmeticQuery(BaseModel):
    """One unit of one layer while a text is read."""

    model_config = QUERY
    model: Model
    text: str = Field(description="the characters to read; the limit is a setting")
    layer: int = Field(0, ge=0, description="the layer, counted from 0 at the input")
    unit: int = Field(0, ge=0, description="the unit, counted from 0")
