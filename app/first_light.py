"""What a page carries so that its first picture needs no further request."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import orjson
from markupsafe import Markup
from pydantic import BaseModel, Field, ValidationError

from app.api.cells import descriptions
from app.networks import Networks, check_unit, tokens_of
from app.problems import Problem, field_error
from app.wire import to_json
from models.arithmetic import arithmetic
from models.network import Network
from models.trace import stream

MODEL = "shakespeare-lstm"
TEXT = "To be, or not to be: that is the question."


class Address(BaseModel):
    """The part of a page's address that decides what is computed; the rest is for the page itself."""

    model: str = Field(MODEL, max_length=200)
    text: str | None = None
    loss: Literal["every", "last"] = "every"
    layer: int = 0
    unit: int | None = None


def example_text(network: Network) -> str:
    """The example, as far as the network knows its characters."""
    known = set(network.vocabulary)
    return "".join(character for character in TEXT if character in known) or "".join(network.vocabulary[: len(TEXT)])


def picture(networks: Networks, address: Address, limit: int) -> dict:
    """The trace and the unit's arithmetic that an address asks for; a Problem where it asks for what there is not."""
    network = networks.get(address.model)
    text = example_text(network) if address.text is None else address.text
    tokens = tokens_of(network, text, limit)
    check_unit(network, address.layer, address.unit or 0)
    events = list(stream(network, tokens, loss=address.loss))
    unit = liveliest(events, address.layer) if address.unit is None else address.unit
    return {
        "events": events,
        "arithmetic": orjson.Fragment(to_json(arithmetic(network, tokens, address.layer, unit))),
        "address": {**address.model_dump(), "text": text, "unit": unit},
    }


def liveliest(events: list[tuple[str, dict]], layer: int) -> int:
    """The unit whose first signal moves most while the text is read: the one to look at when none is named."""
    frames = [data["layers"][layer] for name, data in events if name == "forward"]
    return int(np.concatenate([frame[next(iter(frame))] for frame in frames]).std(axis=0).argmax())


def first_light(networks: Networks, query: Mapping[str, str], limit: int) -> Markup:
    """The JSON for a page, safe inside a script element: the networks, the cells and the picture its address asks for.

    A bad address gives the example and a notice that says what was wrong.
    """
    carried = {
        "models": [network.details() for network in shown(networks, query)],
        "cells": descriptions(),
    }
    try:
        carried |= picture(networks, Address.model_validate(dict(query)), limit)
    except ValidationError as error:
        carried |= picture(networks, Address(), limit) | {"notice": notice(*field_error(error.errors()[0]))}
    except Problem as problem:
        carried |= picture(networks, Address(), limit) | {"notice": notice(*problem.errors[0])}
    return Markup(to_json(carried, "float16").replace(b"<", rb"\u003c").decode())


def shown(networks: Networks, query: Mapping[str, str]) -> list[Network]:
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
