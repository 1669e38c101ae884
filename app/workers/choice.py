"""Which backend the settings ask for."""

from importlib.util import find_spec
from typing import Any

from gatescope.app.settings import CannotServe, Settings
from gatescope.app.workers.backends import Backend
from gatescope.app.workers.inline import InlineBackend
from gatescope.app.workers.local import LocalBackend
from gatescope.app.workers.ray import RayBackend
from gatescope.models.refused import Refused
from gatescope.models.training.device import check_device


def backend_of(settings: Settings) -> Backend[Any]:
    """The backend that the settings name; raises CannotServe where what it needs is not installed."""
    if settings.backend == "ray":
        if find_spec("ray") is None:
            raise CannotServe("GATESCOPE_BACKEND=ray needs Ray, which is not installed: pip install 'gatescope[ray]'")
        return RayBackend(settings.ray_address, settings.device)
    try:
        check_device(settings.device)
    except Refused as refused:
        raise CannotServe(str(refused)) from None
    if settings.backend == "inline":
        return InlineBackend()
    return LocalBackend(settings.worker_memory)
