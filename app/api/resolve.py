"""What a request asks of a network: which one, what it is to read, what should come out and what is held."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from gatescope.app.api.fields import GivenBody, GivenQuery
from gatescope.app.http.problems import of_models
from gatescope.app.networks.inputs import inputs_of, targets_of
from gatescope.models.network.network import Network

Answer = TypeVar("Answer")


def asked(request: Request, fields: GivenQuery | GivenBody) -> tuple[Network, list, dict]:
    """The network, its inputs, and `targets` and `interventions` as a reading takes them; a Problem where they do not
    fit each other.
    """
    settings = request.app.state.settings
    network = request.app.state.networks.get(fields.model)
    if isinstance(fields, GivenQuery):
        inputs = inputs_of(network, settings.text_limit_get, fields.text, None, fields.values)
        targets = targets_of(network, fields.target, settings.text_limit_get, "target")
        return network, inputs, {"targets": targets}
    inputs = inputs_of(network, settings.text_limit_post, fields.text, fields.tokens, fields.values)
    targets = targets_of(network, fields.targets, settings.text_limit_post)
    return (
        network,
        inputs,
        {"targets": targets, "interventions": [body.intervention() for body in fields.interventions]},
    )


def answered(
    fields: GivenQuery | GivenBody, compute: Callable[..., Answer], *given: object, **options: object
) -> Answer:
    """What the networks compute; what they refuse becomes a Problem that calls a field as it was sent."""
    names = {"targets": "target"} if isinstance(fields, GivenQuery) else {}
    if fields.text is not None:
        names["tokens"] = "text"
    try:
        return compute(*given, **options)
    except ValueError as error:
        raise of_models(error, names) from None
