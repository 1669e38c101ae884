"""What the picture of a page is made of: a trace, and one unit's arithmetic."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from gatescope.app.calculators.tasks import GoesOn, How, Written
from gatescope.app.http.encoding import json_in_html, to_json
from gatescope.models.inspection.preactivations import preactivations
from gatescope.models.inspection.trace import Event, stream
from gatescope.models.network.network import Network
from gatescope.models.network.task import Rows


def picture(
    network: Network,
    inputs: Rows,
    targets: Rows | None,
    address: dict[str, Any],
    more: dict[str, Any],
    goes_on: GoesOn = lambda: True,
) -> Written:
    """A picture as JSON that may stand in a script element.

    address: what the page's says, with `loss` and `layer`, and the `unit` to sum up, else it is the liveliest. more:
    what goes along.
    """
    events = list(stream(network, inputs, loss=address["loss"], targets=targets))
    unit = address["unit"] if "unit" in address else liveliest_unit(events, address["layer"])
    summands = preactivations(network, inputs, address["layer"], unit, targets=targets)
    content = {
        "events": events,
        "arithmetic": orjson.Fragment(to_json(summands)),
        "address": address | {"unit": unit},
    }
    return Written(How(), iter([json_in_html(content | more).encode()]))


def liveliest_unit(events: Sequence[Event], layer: int) -> int:
    """The unit whose first signal moves most while the text is read: the one to look at when none is named."""
    frames = [data["layers"][layer] for name, data in events if name == "forward"]
    return int(np.concatenate([frame[next(iter(frame))] for frame in frames]).std(axis=0).argmax())
