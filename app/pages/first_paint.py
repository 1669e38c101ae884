"""What a page carries so that its first picture needs no further request."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import orjson
from markupsafe import Markup
from pydantic import BaseModel, Field, ValidationError

from gatescope.app.api.cells import descriptions
from gatescope.app.http.encoding import to_json
from gatescope.app.http.problems import Problem, field_error
from gatescope.app.networks.catalog import Listed, Networks
from gatescope.app.networks.inputs import IN_ADDRESSES, format_rows, inputs_of, targets_of
from gatescope.models.inspection.preactivations import preactivations
from gatescope.models.inspection.trace import stream
from gatescope.models.network.network import Network
from gatescope.models.refused import Refused

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


def first_picture(networks: Networks, address: Address, limit: int) -> dict[str, Any]:
    """The trace and the unit's arithmetic that an address asks for; a Problem where it asks for what there is not."""
    network = networks.get(address.model)
    fields = address.model_dump(include={"text", "values"}, exclude_none=True) or example_input(network)
    inputs = inputs_of(network, limit, **fields)
    targets = targets_of(network, address.target, limit, "target")
    try:
        network.layer_spec(address.layer)
        events = list(stream(network, inputs, loss=address.loss, targets=targets))
        unit = liveliest_unit(events, address.layer) if address.unit is None else address.unit
        summands = preactivations(network, inputs, address.layer, unit, targets=targets)
    except Refused as refused:
        raise refused.called(IN_ADDRESSES) from None
    return {
        "events": events,
        "arithmetic": orjson.Fragment(to_json(summands)),
        "address": address.model_dump(exclude_none=True) | fields | {"unit": unit},
    }


def liveliest_unit(events: list[tuple[str, dict[str, Any]]], layer: int) -> int:
    """The unit whose first signal moves most while the text is read: the one to look at when none is named."""
    frames = [data["layers"][layer] for name, data in events if name == "forward"]
    return int(np.concatenate([frame[next(iter(frame))] for frame in frames]).std(axis=0).argmax())


def first_paint(networks: Networks, query: Mapping[str, str], limit: int) -> Markup:
    """The JSON for a page, safe inside a script element: the networks, the cells and the picture its address asks for.

    A bad address gives the example and a notice that says what was wrong.
    """
    content = {
        "models": [network.details() for network in offered_networks(networks, query)],
        "cells": descriptions(),
    }
    try:
        content |= first_picture(networks, Address.model_validate(dict(query)), limit)
    except ValidationError as error:
        content |= first_picture(networks, Address(), limit) | {"notice": notice(*field_error(error.errors()[0]))}
    except Problem as problem:
        content |= first_picture(networks, Address(), limit) | {"notice": notice(*problem.errors[0])}
    except Refused as refused:
        content |= first_picture(networks, Address(), limit) | {"notice": notice(refused.field, refused.detail)}
    return json_in_html(content)


def json_in_html(content: dict[str, Any]) -> Markup:
    """JSON that may stand inside a script element; its arrays are base64 of float16."""
    return Markup(to_json(content, "float16").replace(b"<", rb"\u003c").decode())


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
