"""What a network's file says of itself beside its tensors: texts by name, some of them JSON, believed once they are
checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError, field_validator

from gatescope.models.network.task import LABEL_LENGTH, MOST_NAMES, Task
from gatescope.models.refused import SENTENCE_LENGTH, Refused, printable

TITLE_LENGTH = 200
MOST_BLOCKS = 4096
# the most characters of a value before it is taken apart, where the header's own limit would be too wide
LONGEST = {"options": 4096, "steps": 20, "example": 2**19, "form": 2**21, "cell": 200, "nonlinearity": 200}

MAY_BE = {
    "options": "an object of whole numbers and words by their names",
    "vocabulary": f"a list of characters or words, at most {MOST_NAMES:,} of at most {LABEL_LENGTH} characters each",
    "card": "an object",
    "absent": f"a list of names, at most {MOST_BLOCKS:,}",
    "blocks": f"a list of names, at most {MOST_BLOCKS:,}",
    "form": f"an object of {', '.join(Task.__dataclass_fields__)}",
    "labels": f"a list of names, at most {MOST_NAMES:,}",
    "steps": "a whole number",
    "example": "a text, or a list with the numbers of each step",
}

SAID = ("reads", "gives", "pattern", "steps", "example", "example_target")  # of a network of anybody's making


class BadNetwork(ValueError):
    """A file or a set of weights that is not a network this product can read; the message says what is wrong, in at
    most a thousand characters that can be shown, whatever the file calls its own. It is no `Refused`: what is wrong
    is the file as a whole, not a field that somebody filled in.
    """

    def __init__(self, sentence: str):
        super().__init__(printable(sentence, SENTENCE_LENGTH))


Name = Annotated[str, Field(max_length=LABEL_LENGTH)]
Names = Annotated[list[Name], Field(max_length=MOST_BLOCKS, fail_fast=True)]


class Metadata(BaseModel):
    """The metadata of a safetensors file as far as it is known here.

    A file of this product says `cell`, `options`, `form` (what it reads and gives), `absent`, `blocks` (in the order in
    which they are stacked) and `card`; one of anybody's making may say `reads`, `gives`, `pattern`, `labels`, `steps`,
    `example`, `example_target` and `nonlinearity`; both `title` and `vocabulary`. What is not text is written as JSON.
    """

    model_config = ConfigDict(strict=True, frozen=True)
    title: str | None = None
    cell: str | None = None
    nonlinearity: str | None = None
    reads: str | None = None
    gives: str | None = None
    pattern: str | None = None
    options: Json[dict[Name, int | Name]] = {}
    vocabulary: Json[Annotated[list[Name], Field(max_length=MOST_NAMES, fail_fast=True)]] = []
    card: Json[dict[str, Any]] = {}
    absent: Json[Names] = []
    blocks: Json[Names] = []
    form: Json[Task] = Task()
    labels: Json[Annotated[list[str], Field(max_length=MOST_NAMES, fail_fast=True)]] = []
    steps: Json[int] | None = None
    example: Json[str | tuple[tuple[float, ...], ...]] | None = None
    example_target: str | None = None

    @field_validator("title")
    @classmethod
    def _short(cls, title: str | None) -> str | None:
        return title and title.strip()[:TITLE_LENGTH]

    @field_validator("vocabulary")
    @classmethod
    def _each_is_there_once(cls, vocabulary: list[str]) -> list[str]:
        if not all(vocabulary):
            raise ValueError("must be a list of characters or words, none of them empty")
        if len(set(vocabulary)) < len(vocabulary):
            raise ValueError("holds a character twice")
        return vocabulary

    @field_validator("card")
    @classmethod
    def _can_be_shown(cls, card: dict[str, Any]) -> dict[str, Any]:
        if type(card.get("validation_loss")) not in (int, float, type(None)):
            raise ValueError("must have a number as its validation_loss")
        try:
            orjson.dumps(card)
        except TypeError:  # a whole number of more than 64 bits, or too many objects inside each other
            raise ValueError("holds what no answer can") from None
        return card

    @classmethod
    def of(cls, facts: Mapping[str, str], file: str) -> Metadata:
        """The metadata that a file holds; raises BadNetwork with a sentence that calls the file so."""
        for key, longest in LONGEST.items():
            if len(facts.get(key, "")) > longest:
                raise BadNetwork(f"the {key} in {file} has more than {longest:,} characters")
        try:
            return cls.model_validate(dict(facts))
        except ValidationError as error:
            raise BadNetwork(_sentence(error, file)) from None

    def suggested_task(self, embedded: bool, inputs: int, outputs: int | None, file: str) -> Task:
        """What a network of anybody's making reads and gives: as it says, else as its sizes suggest. Raises BadNetwork.

        As many outputs as inputs are the next input at every step; a single one is a number, others are classes, told
        at the end. A vocabulary most of whose entries are longer than a character is one of words. Without vocabulary
        and embedding, what does not predict its next input reads numbers. outputs: None without a readout.
        """
        if outputs is None and (self.labels or self.gives or self.pattern):
            raise BadNetwork(f"{file} names labels, gives or pattern, and the network has no readout")
        foretells = self._foretells(inputs, outputs)
        suggested = {
            "reads": self._kind_of_tokens() if self.vocabulary or embedded or foretells else "values",
            "gives": "next" if foretells else "values" if outputs == 1 else "classes",
            "pattern": "many-to-many" if foretells else "many-to-one",
            "labels": tuple(self.labels),
        }
        said = {name: getattr(self, name) for name in SAID}
        try:
            return Task(**suggested | {name: value for name, value in said.items() if value is not None})
        except Refused as refused:
            raise BadNetwork(f"{file}: {refused}") from None

    def _foretells(self, inputs: int, outputs: int | None) -> bool:
        """Whether it predicts its next input."""
        if self.gives is not None:
            return self.gives == "next"
        return self.pattern in (None, "many-to-many") and not self.labels and outputs in (None, inputs)

    def _kind_of_tokens(self) -> str:
        longer = sum(len(entry) > 1 for entry in self.vocabulary)
        return "words" if longer > len(self.vocabulary) / 2 else "characters"


def _sentence(error: ValidationError, file: str) -> str:
    """What is wrong with the first value that is; it is not echoed."""
    first = error.errors(include_url=False, include_input=False)[0]
    key, cause = str(first["loc"][0]), first.get("ctx", {}).get("error")
    if isinstance(cause, Refused):
        return f"{file}: {cause}"
    if first["type"] == "json_invalid":
        return f"the {key} in {file} is not JSON: {cause}"
    return f"the {key} in {file} {cause or f'must be {MAY_BE[key]}'}"
