"""What requests about runs may hold."""

from typing import Any

from pydantic import BaseModel, Field

from gatescope.app.api.fields import QUERY

MOST_RUNS = 50
ID = r"[0-9a-f]{32}"


class RunQuery(BaseModel):
    """How to train; what is not said is chosen to suit the text. The recipe knows what each may be."""

    model_config = QUERY
    cell: str = Field("lstm", max_length=40, description="kind of cell, from /api/cells")
    layers: int | None = Field(None, description="recurrent layers")
    hidden: int | None = Field(None, description="units a layer")
    embedding: int | None = Field(None, description="numbers a character becomes; 0 is one-hot input")
    sequence_length: int | None = Field(None, description="steps the gradient goes back")
    batch_size: int | None = Field(None, description="sequences read side by side")
    learning_rate: float | None = Field(None, allow_inf_nan=False, description="the schedule's highest")
    clip: float | None = Field(None, allow_inf_nan=False, description="longest gradient; a longer one is shortened")
    dropout: float | None = Field(None, allow_inf_nan=False, description="fraction of outputs left out")
    steps: int | None = Field(None, description="batches to read at most")
    patience: int | None = Field(None, description="validations without improvement before it ends")
    update_every: int | None = Field(None, description="batches to each change of the weights")
    seed: int | None = Field(None, description="where chance begins")
    title: str = Field("", max_length=200, description="what to call it")
    dry_run: bool = Field(False, description="only say what the network would see and what it would cost")

    def chosen(self) -> dict[str, Any]:
        """What was said, in the words of the recipe."""
        said = self.model_dump(exclude={"title", "dry_run"}, exclude_none=True)
        return said | ({"embedding": said["embedding"] or None} if "embedding" in said else {})


class RunsQuery(BaseModel):
    """Which runs to list."""

    model_config = QUERY
    ids: str | None = Field(None, pattern=rf"^({ID}(,{ID}){{0,199}})?$", description="these, with commas between")
    before: str | None = Field(None, pattern=rf"^{ID}$", description="those that are older than this one")
    limit: int = Field(200, ge=1, le=1000, description="at most so many")


class EventsQuery(BaseModel):
    """Which runs to watch."""

    model_config = QUERY
    runs: str = Field(max_length=33 * MOST_RUNS, description=f"ids of 1 to {MOST_RUNS} runs, with commas between")
    after: int = Field(0, ge=0, lt=2**63, description="go on after the event with this id")


class PageQuery(BaseModel):
    """Which part of a log to have."""

    model_config = QUERY
    after: int = Field(0, ge=0, lt=2**63, description="the events whose ids are above this one")
    limit: int = Field(500, ge=1, le=2000, description="at most so many")
