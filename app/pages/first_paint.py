"""What a page carries so that its first picture needs no further request."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from fastapi.concurrency import run_in_threadpool
from markupsafe import Markup
from pydantic import BaseModel, Field, ValidationError

from gatescope.app.api.cells import descriptions
from gatescope.app.calculators.pictures import picture
from gatescope.app.calculators.tasks import Task
from gatescope.app.http.encoding import json_in_html
from gatescope.app.http.problems import Problem, field_error
from gatescope.app.networks.catalog import Listed, Networks
from gatescope.app.networks.examples import opening_example
from gatescope.app.networks.inputs import IN_ADDRESSES, Inputs, Targets, inputs_of, targets_of
from gatescope.models.inspection.price import Price, Purse, count_of_steps, price_of_preactivations, price_of_stream
from gatescope.models.network.network import Network
from gatescope.models.refused import Refused, refusals_called

MODEL = "shakespeare-lstm"


class Address(BaseModel):
    """The part of a page's address that decides what is computed; the rest is for the page itself. Without an input it
    is the network's example, with its target and its loss unless these are named.
    """

    model: str = Field(MODEL, max_length=200)
    text: str | None = None
    values: str | None = None
    target: str | None = None
    loss: Literal["every", "last"] | None = None
    layer: int = 0
    unit: int | None = None


@dataclass(frozen=True)
class Picture:
    """What the picture of a page is to show, and its price. notice: why it is the example and not what was asked."""

    network: Network
    address: dict[str, Any]
    inputs: Inputs
    targets: Targets | None
    price: Price
    notice: str = ""

    @property
    def task(self) -> Task:
        """What computes it."""
        more = {"notice": self.notice} if self.notice else {}
        return partial(picture, self.network, self.inputs, self.targets, self.address, more)


def _picture(networks: Networks, address: Address, limit: int, purse: Purse) -> Picture:
    network = networks.get(address.model)
    said = address.model_dump(exclude_none=True)
    given = said.keys() & {"text", "values"}
    said = ({"loss": "every"} if given else opening_example(network)) | said
    inputs = inputs_of(network, limit, text=said.get("text"), values=said.get("values"))
    targets = targets_of(network, said.get("target"), limit, "target")
    network.layer_spec(address.layer)
    with refusals_called(IN_ADDRESSES):
        steps = count_of_steps(network, inputs, targets)
        price = purse.pay(partial(_price, network), steps, "values" if network.channels else "tokens")
    return Picture(network, said, inputs, targets, price)


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


def offered_networks(networks: Networks, query: Mapping[str, str]) -> list[Listed]:
    """The listed networks, and one that is not listed where the address names it."""
    listed, named = networks.all(), query.get("model", MODEL)
    if named not in listed:
        with suppress(Problem):
            listed |= {named: Listed.of(networks.get(named))}
    return [*listed.values()]


def notice(field: str, detail: str) -> str:
    """One sentence about a wrong value in the address."""
    return f"This is the example, because the address has a wrong “{field}”: {detail}."
