"""What a request says of a network: which one, what it is to read, what should come out and what is overwritten."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from gatescope.app.api.fields import InputBody, InputQuery
from gatescope.app.networks.inputs import IN_ADDRESSES, IN_TEXTS, inputs_of, targets_of
from gatescope.models.network.network import Network
from gatescope.models.refused import Refused

Answer = TypeVar("Answer")


def resolve_inputs(request: Request, fields: InputQuery | InputBody) -> tuple[Network, list, dict]:
    """The network, its inputs, and `targets` and `interventions` as a reading takes them; a Problem, or Refused, where
    they do not fit each other.
    """
    settings, network = request.app.state.settings, request.app.state.networks.get(fields.model)
    if isinstance(fields, InputQuery):
        limit, tokens, targets, options = settings.text_limit_get, None, fields.target, {}
    else:
        limit, tokens, targets = settings.text_limit_post, fields.tokens, fields.targets
        options = {"interventions": [body.intervention() for body in fields.interventions]}
    inputs = inputs_of(network, limit, fields.text, tokens, fields.values)
    field = IN_ADDRESSES["targets"] if isinstance(fields, InputQuery) else "targets"
    return network, inputs, {"targets": targets_of(network, targets, limit, field), **options}


def compute(
    fields: InputQuery | InputBody, function: Callable[..., Answer], *values: object, **options: object
) -> Answer:
    """What a function of the networks answers; what it refuses is called by the name under which it was sent."""
    names = IN_ADDRESSES if isinstance(fields, InputQuery) else IN_TEXTS if fields.text is not None else {}
    try:
        return function(*values, **options)
    except Refused as refused:
        raise refused.called(names) from None
