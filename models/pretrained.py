"""The networks that come with the product: trained with the recipes on their cards, stored under `models/weights`."""

from functools import cache
from pathlib import Path

from gatescope.models.network.network import Network

FOLDER = Path(__file__).parent / "weights"


@cache
def shipped() -> dict[str, Path]:
    """The shipped networks' files by id, looked for once."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}


@cache
def load_pretrained(name: str) -> Network:
    """A shipped network by id, read once; raises KeyError."""
    return Network.load(shipped()[name])
