"""Which networks are shown to whom."""

from fastapi import Request
from starlette.status import HTTP_403_FORBIDDEN

from gatescope.app.http.other_sites import has_no_origin
from gatescope.app.http.problems import Problem
from gatescope.app.networks.catalog import Listed, Networks
from gatescope.app.networks.uploads import ID
from gatescope.models.network.network import Network
from gatescope.models.pretrained import shipped


class UnlistedNetworks(Networks):
    """The networks where strangers are served: only the shipped ones are listed, the others are had by their ids."""

    def all(self) -> dict[str, Listed]:
        """Every network that comes with Gatescope, by id."""
        first = shipped()
        return {id: network for id, network in super().all().items() if id in first}


def network_for(request: Request, id: str, status: int = 422) -> Network:
    """The network with this id for whoever asks; a Problem of this status where there is none.

    A frame without an origin, which any site can make, is given the shipped ones and what only those have the id of
    who were told it: whether the data directory has another of this name stays this machine's own (403), unless the
    settings say that sandboxed frames may show them.
    """
    private = id not in shipped() and not ID.fullmatch(id) and not request.app.state.settings.sandboxed_networks
    if private and has_no_origin(request):
        detail = "is private to this machine: frames without an origin are shown the networks that come with Gatescope"
        raise Problem(("model", f"{detail}, uploads and runs"), status=HTTP_403_FORBIDDEN)
    networks: Networks = request.app.state.networks
    return networks.get(id, status)
