"""HDF5 files as far as weights need them, whoever made the file: numbers that lie in the file itself, as many as it has
room for, in groups that hold each other in no circle.

HDF5 can do more: data in other files (external storage, external links, virtual datasets), which would read any file of
this machine into the weights; shapes without data; filters, for which it looks for libraries. None of that is followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatescope.models.network.metadata import BadNetwork
from gatescope.models.refused import printable

if TYPE_CHECKING:
    import h5py

DEEPEST = 16  # groups inside each other
MOST_OBJECTS = 20_000
MOST_NUMBERS = 16  # bytes of arrays for each of the file, which may be compressed
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32_000: "lzf"}


class Hdf5:
    """An open HDF5 file, to be looked through; everything raises BadNetwork for what is not read here."""

    def __init__(self, file: h5py.File, size: int):
        import h5py

        self._h5py, self.file = h5py, file
        self._objects, self._bytes = MOST_OBJECTS, MOST_NUMBERS * size + 2**20

    @classmethod
    def of(cls, file: h5py.File, path: Path) -> Hdf5:
        """A file that was opened at this path."""
        return cls(file, path.stat().st_size)

    def member(self, group: h5py.Group, path: str) -> Any:
        """What lies at a path of names inside a group; KeyError where nothing does."""
        for name in path.split("/"):
            link = group.get(name, getlink=True)
            if link is None:
                raise KeyError(name)
            if not isinstance(link, self._h5py.HardLink):
                raise BadNetwork(f"{printable(name)} is a link to elsewhere, and links are not followed")
            self._objects -= 1
            if self._objects < 0:
                raise BadNetwork(f"the file has more than {MOST_OBJECTS:,} groups and arrays, or a circle of them")
            group = group[name]
        return group

    def members(self, group: h5py.Group) -> Iterator[tuple[str, Any]]:
        """What a group holds, by name."""
        for name in group:
            yield name, self.member(group, name)

    def groups_called(self, name: str, group: h5py.Group, place: str = "") -> Iterator[tuple[str, h5py.Group]]:
        """Every group of this name, however deep it lies, and the path of what it belongs to."""
        if place.count("/") >= DEEPEST:
            raise BadNetwork(f"the file has groups more than {DEEPEST} deep")
        for each, inner in self.members(group):
            if not isinstance(inner, Mapping):
                continue
            if each == name and len(inner):
                yield place, inner
            elif each != name:
                yield from self.groups_called(name, inner, f"{place}/{each}".removeprefix("/"))

    def array(self, found: Any, name: str) -> np.ndarray:
        """The numbers of a dataset, as float32 or float64."""
        shown = printable(name)
        if not isinstance(found, self._h5py.Dataset):
            raise BadNetwork(f"{shown} is no array")
        if found.dtype.kind != "f" or found.dtype.itemsize > 8 or found.shape is None:
            raise BadNetwork(f"{shown} holds no weights but {printable(str(found.dtype))}")
        if found.external or found.is_virtual:
            raise BadNetwork(f"{shown} has its numbers in another file, which is not read")
        made = found.id.get_create_plist()
        kinds = {made.get_filter(index)[0] for index in range(made.get_nfilters())}
        if not kinds <= set(FILTERS):
            raise BadNetwork(f"{shown} is packed otherwise than by {', '.join(FILTERS.values())}")
        self._bytes -= max(found.dtype.itemsize, 4) * int(np.prod([float(size) for size in found.shape]))
        if self._bytes < 0:
            raise BadNetwork(f"{shown} is said to hold far more numbers than the file has room for: {found.shape}")
        with np.errstate(over="ignore"):
            array: np.ndarray = np.asarray(found).astype("<f8" if found.dtype.itemsize == 8 else "<f4", copy=False)
            if not np.isfinite(array.astype("<f4", copy=False)).all():
                raise BadNetwork(f"{shown} holds values that are not finite, or not in single precision")
        return array
