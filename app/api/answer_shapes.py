"""What the JSON answers hold, for the API's description alone: answers are written elsewhere and pass through none of
these. A field that is not named here may come beside them; None is what JSON writes for what is no number.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Facts = dict[str, Any]  # more of them than a description would help with; the documentation has them
Numbers = list[float | None]
Values = list[Any]  # numbers, row in row


class Answer(BaseModel):
    """An object; its schema is built when the description is first asked for."""

    model_config = ConfigDict(defer_build=True)


class CellAnswer(Answer):
    """A kind of cell."""

    id: str
    title: str
    summary: str
    states: list[str]
    signals: list[Facts]
    parameters: list[str]
    options: Facts
    chosen: Facts
    reference: str | None
    graph: list[Facts]
    operations: Facts


class CellsAnswer(Answer):
    """Every kind of cell."""

    cells: list[CellAnswer]


class NetworkFacts(Answer):
    """A network as a list shows it."""

    id: str | None
    title: str
    cell: str
    layers: int
    hidden: int
    task: str
    vocabulary_size: int
    parameters: int
    bits_per_character: float | None
    origin: Literal["shipped", "upload", "run"]


class NetworksAnswer(Answer):
    """The networks."""

    models: list[NetworkFacts]


class NetworkAnswer(NetworkFacts):
    """One network."""

    vocabulary: list[str]
    form: Facts
    example: dict[str, str]
    channels: int | None
    outputs: int
    parts: list[Facts]
    training: Facts | None


class RecognisedAnswer(NetworkFacts):
    """What was recognised in a file."""

    recognised: Facts


class StoredAnswer(RecognisedAnswer):
    """A network that was stored, and its owner's token."""

    id: Id
    owner_token: str


class RunAnswer(Answer):
    """A run."""

    id: Id
    title: str
    state: Literal["queued", "running", "paused", "finished", "stopped", "failed"]
    wanted: str | None
    reason: str | None
    position: int | None
    created: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    seconds: float
    recipe: Facts
    progress: Facts | None
    links: dict[str, str]


class RunsAnswer(Answer):
    """Runs, the newest first."""

    runs: list[RunAnswer]


class NewRunAnswer(RunAnswer):
    """A new run, and its owner's token; null where the run was there already (Idempotency-Key) and none was sent."""

    owner_token: str | None


class TextFacts(Answer):
    """What a network would see of a text."""

    encoding: str
    characters: int
    vocabulary_size: int
    vocabulary: list[str]
    lines: int
    start: str
    notes: list[str]


class CostFacts(Answer):
    """What a training would cost."""

    minutes: float
    parameters: int
    multiply_adds: int
    memory: int
    characters: int


class PlanAnswer(Answer):
    """What a run would be."""

    text: TextFacts
    recipe: Facts
    cost: CostFacts


class EventAnswer(Answer):
    """An event of a log."""

    id: int
    event: str
    data: Facts


class PageAnswer(Answer):
    """A page of a log."""

    events: list[EventAnswer]
    last: int
    more: bool
    is_over: bool


class TraceAnswer(Answer):
    """A trace whole."""

    metadata: Facts
    tensors: dict[str, Values]


class SummandAnswer(Answer):
    """What one map or bias adds, step by step."""

    reads: str | None
    values: Numbers


class ArithmeticAnswer(Answer):
    """One unit's sums."""

    layer: int
    unit: int
    terms: dict[str, list[SummandAnswer]]


class VerificationAnswer(Answer):
    """Both slopes, and how far they lie apart."""

    analytic: float | None
    numeric: float | None
    relative_error: float | None
    verified: bool


class InfluenceAnswer(Answer):
    """A row for each loss."""

    layer: int
    signal: str | None
    influence: list[Numbers]


class HealthAnswer(Answer):
    """That it is alive, or ready."""

    status: str


class FieldProblem(Answer):
    """A field, and what it may be."""

    field: str
    detail: str


class ProblemAnswer(Answer):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem]


# By method and path, what comes at which status.
SHAPES: dict[str, dict[int, type[Answer]]] = {
    "GET /api/cells": {200: CellsAnswer},
    "GET /api/models": {200: NetworksAnswer},
    "POST /api/models": {200: RecognisedAnswer, 201: StoredAnswer},
    "GET /api/models/{id}": {200: NetworkAnswer},
    "POST /api/runs": {200: PlanAnswer, 202: NewRunAnswer},
    "GET /api/runs": {200: RunsAnswer},
    "GET /api/runs/{id}": {200: RunAnswer},
    "POST /api/runs/{id}/pause": {202: RunAnswer},
    "POST /api/runs/{id}/resume": {202: RunAnswer},
    "POST /api/runs/{id}/stop": {202: RunAnswer},
    "GET /api/runs/{id}/events.json": {200: PageAnswer},
    **{f"{method} /api/trace.json": {200: TraceAnswer} for method in ("GET", "POST")},
    **{f"{method} /api/arithmetic": {200: ArithmeticAnswer} for method in ("GET", "POST")},
    **{f"{method} /api/verification": {200: VerificationAnswer} for method in ("GET", "POST")},
    **{f"{method} /api/influence": {200: InfluenceAnswer} for method in ("GET", "POST")},
    "GET /healthz": {200: HealthAnswer},
    "GET /readyz": {200: HealthAnswer},
}
