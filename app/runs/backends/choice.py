"""Which backend the settings ask for."""

from importlib.util import find_spec

from app.runs.backends import Backend
from app.runs.backends.inline import InlineBackend
from app.runs.backends.local import LocalBackend
from app.runs.backends.ray import RayBackend
from app.runs.database import Refused
from app.settings import Settings
from models.training.device import check


def backend_of(settings: Settings) -> Backend:
    """The backend that the settings name; raises Refused where what it needs is not installed."""
    if settings.backend == "ray":
        if find_spec("ray") is None:
            raise Refused("GATESCOPE_BACKEND=ray needs Ray, which is not installed: pip install 'gatescope[ray]'")
        return RayBackend(settings.ray_address, settings.device)
    try:
        check(settings.device)
    except ValueError as error:
        raise Refused(str(error)) from None
    if settings.backend == "inline":
        return InlineBackend()
    return LocalBackend(settings.worker_memory)
