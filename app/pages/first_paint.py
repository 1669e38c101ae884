"""What a page carries so that its first picture needs no further request."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from fastapi.concurrency import run_in_threadpool
from markupsafe import Markup
from pydantic import BaseModel, Field, ValidationError

from gatescope.app.api.cells import descriptions
from gatescope.app.calculators.pictures import picture
from gatescope.app.calculators.tasks import Task
from gatescope.app.http.encoding import json_in_html
from gatescope.app.http.problems import Problem, field_error
from gatescope.app.networks.catalog import Listed, Networks
from gatescope.app.networks.inputs import IN_ADDRESSES, Inputs, Targets, format_rows, inputs_of, targets_of
from gatescope.models.inspection.price import Price, Purse, count_of_steps, price_of_preactivations, price_of_stream
from gatescope.models.network.network import Network
from gatescope.models.refused import Refused, refusals_called

MODEL = "shakespeare-lstm"
TEXT = "To be, or not to be: that is the question."
STEPS, NUMBERS, FEW = 24, 240, 12  # of an example made up: steps, numbers in all, words


class Address(BaseModel):
    """The part of a page's address that decides what is computed; the rest is for the page itself."""

    model: str = Field(MODEL, max_length=200)
    text: str | None = None
    values: str | None = None
    target: str | None = None
    loss: Literal["every", "last"] = "every"
    layer: int = 0
    unit: int | None = None


def example_input(network: Network) -> dict[str, str]:
    """Something that the network can read, as an address has it: its own example, else the usual text as far as the
    network knows it, or waves.
    """
    task, channels = network.task, network.channels
    example = task.example if can_read(network, task.example) else None
    if channels:
        steps = 1 if task.pattern == "one-to-many" else max(2, min(STEPS, NUMBERS // channels))
        waves = [[round(math.sin(t / (2 + i)), 3) for i in range(channels)] for t in range(steps)]
        return {"values": format_rows(waves if example is None or isinstance(example, str) else example)}
    if isinstance(example, str):
        return {"text": example}
    legible = [token for token in network.vocabulary if task.cut(token) == [token]]
    known = max([token for token in task.cut(TEXT) if token in legible], legible[:FEW], key=len)
    return {"text": task.join(known[:1] if task.pattern == "one-to-many" else known)}


def can_read(network: Network, inputs: str | Sequence[Sequence[float]]) -> bool:
    """Whether this is something, and the network can read it."""
    try:
        rows = network.tokens(inputs) if isinstance(inputs, str) else inputs
        return bool(inputs) and network.input_rows(rows).size > 0
    except Refused:
        return False


@dataclass(frozen=True)
class Picture:
    """What the picture of a page is to show, and its price. notice: why it is the example and not what was asked."""

    network: Network
    address: Address
    fields: dict[str, str]
    inputs: Inputs
    targets: Targets | None
    price: Price
    notice: str = ""

    @property
    def task(self) -> Task:
        """What computes it."""
        address = self.address.model_dump(exclude_none=True) | self.fields
        more = {"notice": self.notice} if self.notice else {}
        return partial(picture, self.network, self.inputs, self.targets, address, self.address.unit, more)


def _picture(networks: Networks, address: Address, limit: int, purse: Purse) -> Picture:
    network = networks.get(address.model)
    fields = address.model_dump(include={"text", "values"}, exclude_none=True) or example_input(network)
    inputs = inputs_of(network, limit, **fields)
    targets = targets_of(network, address.target, limit, "target")
    network.layer_spec(address.layer)
    with refusals_called(IN_ADDRESSES):
        steps = count_of_steps(network, inputs, targets)
        price = purse.pay(partial(_price, network), steps, "values" if network.channels else "tokens")
    return Picture(network, address, fields, inputs, targets, price)


def _price(network: Network, steps: int) -> Price:
    """A trace, one unit's sums, and all of it in words: base64 of two bytes a number, some four times over."""
    recorded, sums = price_of_stream(network, steps), price_of_preactivations(network, steps)
    numbers = 2 * steps * sum(len(spec.cell.graph().signals) * spec.hidden for spec in network.layer_specs)
    return Price(recorded.memory + 12 * numbers, recorded.work + sums.work)


class FirstPaint:
    """What one page carries: the networks, the cells and the picture its address asks for; the example, with a notice
    that says why, where it asks for what there is not or what is too dear. purse: what a page may cost.
    """

    def __init__(self, networks: Networks, query: Mapping[str, str], limit: int, purse: Purse):
        self.networks, self.query, self.limit, self.purse = networks, query, limit, purse
        try:
            self.picture = _picture(networks, Address.model_validate(dict(query)), limit, purse)
        except ValidationError as error:
            self.picture = self._example(*field_error(error.errors()[0]))
        except Problem as problem:
            self.picture = self._example(*problem.errors[0])
        except Refused as refused:
            self.picture = self._example(refused.field, refused.detail)

    def _example(self, field: str, detail: str) -> Picture:
        example = _picture(self.networks, Address(), self.limit, self.purse)
        return replace(example, notice=notice(field, detail))

    async def content(self, paint: Callable[[Picture], Awaitable[bytes]]) -> Markup:
        """All of it as JSON, safe inside a script element; paint: does a picture's task."""
        try:
            drawn = await paint(self.picture)
        except Refused as refused:
            drawn = await paint(self._example(refused.field, refused.detail))
        return await run_in_threadpool(self._around, drawn)

    def _around(self, drawn: bytes) -> Markup:
        models = [network.details() for network in offered_networks(self.networks, self.query)]
        around = json_in_html({"models": models, "cells": descriptions()})
        return Markup(f"{around[:-1]},{drawn[1:].decode()}")


def offered_networks(networks: Networks, query: Mapping[str, str]) -> list[Network | Listed]:
    """The listed networks, and one that is not listed where the address names it."""
    listed = networks.all()
    try:
        named = networks.get(query.get("model", MODEL))
    except Problem:
        return [*listed.values()]
    return [*(listed | {named.id: named}).values()]


def notice(field: str, detail: str) -> str:
    """One sentence about a wrong value in the address."""
    return f"This is the example, because the address has a wrong “{field}”: {detail}."
