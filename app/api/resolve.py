"""What a request says of a network: which one, what it is to read, what should come out and what is overwritten."""

from collections.abc import Callable
from typing import NotRequired, TypedDict, TypeVar

from fastapi import Request

from gatescope.app.api.fields import InputBody, InputQuery
from gatescope.app.networks.inputs import IN_ADDRESSES, IN_TEXTS, Inputs, Targets, inputs_of, targets_of
from gatescope.app.networks.shown import network_for
from gatescope.models.inspection.interventions import Intervention
from gatescope.models.network.network import Network
from gatescope.models.refused import Refused

Answer = TypeVar("Answer")


class ReadingOptions(TypedDict):
    """What a reading is told beside its inputs, by the names under which it takes them."""

    targets: Targets | None
    interventions: NotRequired[list[Intervention]]


def resolve_inputs(request: Request, fields: InputQuery | InputBody) -> tuple[Network, Inputs, ReadingOptions]:
    """The network, its inputs, and `targets` and `interventions` as a reading takes them; a Problem, or Refused, where
    they do not fit each other.
    """
    settings, network = request.app.state.settings, network_for(request, fields.model)
    if isinstance(fields, InputQuery):
        limit = settings.text_limit_get
        inputs = inputs_of(network, limit, fields.text, None, fields.values)
        return network, inputs, {"targets": targets_of(network, fields.target, limit, IN_ADDRESSES["targets"])}
    limit, overwritten = settings.text_limit_post, [body.intervention() for body in fields.interventions]
    inputs = inputs_of(network, limit, fields.text, fields.tokens, fields.values)
    targets = targets_of(network, fields.targets, limit, "targets")
    return network, inputs, {"targets": targets, "interventions": overwritten}


def compute(
    fields: InputQuery | InputBody, function: Callable[..., Answer], *values: object, **options: object
) -> Answer:
    """What a function of the networks answers; what it refuses is called by the name under which it was sent."""
    names = IN_ADDRESSES if isinstance(fields, InputQuery) else IN_TEXTS if fields.text is not None else {}
    try:
        return function(*values, **options)
    except Refused as refused:
        raise refused.called(names) from None
