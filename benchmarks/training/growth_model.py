"""Keep a network of the growth space as a file without code: its text, its skeleton and its weights.

The file is what `torch.save` writes of a dict with `format`, `arch`, `skeleton` (the fields of
`benchmarks.spaces.growth_size.GrowthSkeleton`) and `weights` (a state dict). It is read with `weights_only=True`:
nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.spaces.growth import GrowthSpace
from benchmarks.spaces.growth_size import GrowthSkeleton
from benchmarks.spaces.growth_text import parse
from benchmarks.training.cells import Network
from benchmarks.training.growth_cells import GrownNetwork, empty_network
from harness.core.errors import DataCorrupt, DataMissing, OutputUnwritable, UsageError, nearest
from harness.core.interfaces import Place
from harness.core.types import Arch

FORMAT = "nas-harness growth model 1"
_KEYS = ("format", "arch", "skeleton", "weights")
_CHANGE = "change the benchmark's options or the file"
_NEXT = "write one with `python -m harness export`, or as docs/growth_space.md says"


@dataclass(frozen=True, slots=True)
class Model:
    """A network as a file holds it.

    Attributes:
        sha256: of the file.
    """

    arch: Arch
    skeleton: GrowthSkeleton
    weights: Mapping[str, Tensor]
    sha256: str

    def network(self) -> GrownNetwork:
        """Return the network on the CPU."""
        network = empty_network(parse(self.arch), self.skeleton)
        network.load_state_dict(self.weights)
        return network


def plain(network: GrownNetwork | Network, arch: str, form: str = FORMAT) -> dict[str, Any]:
    """Return a network as the dict that a model file holds."""
    weights = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }
    return {"format": form, "arch": str(arch), "skeleton": asdict(network.skeleton), "weights": weights}


def write_model(path: Path, network: GrownNetwork | Network, arch: str, form: str = FORMAT) -> None:
    """Write a network to a file; growth can begin with one of the growth space, whose form is the default.

    Raises:
        OutputUnwritable: the folder is missing or read-only, or the disk is full.
    """
    try:
        torch.save(plain(network, arch, form), path)
    except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError for a folder that is not there
        raise OutputUnwritable(f"{path}: no model can be written ({error}); name another folder") from None


def find_model(name: str, place: Place) -> Path:
    """Return the path of a model file, absolute or below the data folder or the current folder.

    Raises:
        DataMissing: there is no such file; with the places searched and the nearest name there.
    """
    given = Path(name)
    named = [given.parent] if given.is_absolute() else [place.data, Path.cwd()]
    folders = [folder for folder in named if folder is not None]
    for folder in folders:
        if (folder / given).is_file():
            return folder / given
    inside = (given.parent, given)  # the folder that holds the file may be all that was named
    near = [str(part / found.name) for folder in folders for part in inside for found in (folder / part).glob("*.pt")]
    looked = " and in ".join(map(str, folders))
    raise DataMissing(f"founder: no file {name!r} (looked in {looked}){nearest(name, near)}; name a file or {_NEXT}")


def read_model(path: Path, space: GrowthSpace) -> Model:
    """Return the model of a file, which must be of a space.

    Raises:
        DataMissing: the file may not be read.
        DataCorrupt: the file is no model file, or its weights are not those of its architecture.
        UsageError: it was made for another skeleton, or its text is no architecture of the space.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"founder: {path} cannot be read ({error.strerror})"
        raise DataMissing(f"{why}; allow it, name another file, or {_NEXT}") from None
    data = _loaded(path)
    _check_skeleton(path, data["skeleton"], space.skeleton)
    _check_arch(path, data["arch"], space)
    model = Model(Arch(data["arch"]), space.skeleton, data["weights"], hashlib.sha256(content).hexdigest())
    _check_weights(path, model)
    return model


def _loaded(path: Path) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of a foreign pickle before it refuses it
            data = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise DataCorrupt(f"{path}: no model file that can be read without running code ({reason}); {_NEXT}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DataCorrupt(f"{path}: no {FORMAT!r}; {_NEXT}")
    missing = [key for key in _KEYS if key not in data]
    sound = not missing and isinstance(data["arch"], str) and all(isinstance(data[key], dict) for key in _KEYS[2:])
    if not sound:
        raise DataCorrupt(f"{path}: {missing or 'arch, skeleton or weights'} missing or of the wrong type; {_NEXT}")
    return data


def _check_skeleton(path: Path, given: Mapping[str, Any], skeleton: GrowthSkeleton) -> None:
    wanted = asdict(skeleton)
    for key in given:
        if key not in wanted:
            hint = nearest(str(key), wanted)
            raise UsageError(f"{path}: skeleton: no key {key!r}{hint}; known: {', '.join(wanted)}; change the file")
    different = [
        f"{key} is {given.get(key)!r} there and {value!r} here"
        for key, value in wanted.items()
        if not isinstance(given.get(key), int) or given[key] != value  # a tensor has no single answer to `!=`
    ]
    if different:
        raise UsageError(f"{path}: made for another network: {'; '.join(different)}; {_CHANGE}")


def _check_arch(path: Path, arch: str, space: GrowthSpace) -> None:
    try:
        space.plan(arch)
    except UsageError as error:
        raise UsageError(f"{path}: arch: {error}; {_CHANGE}") from None


def _check_weights(path: Path, model: Model) -> None:
    with torch.device("meta"):
        wanted = GrownNetwork(parse(model.arch), model.skeleton).state_dict()
    lacking = [name for name in wanted if name not in model.weights]
    foreign = [name for name in model.weights if name not in wanted]
    for name in lacking:
        raise DataCorrupt(f"{path}: the file lacks the weight {name!r}{nearest(name, map(str, foreign))}; {_NEXT}")
    for name in foreign:
        raise DataCorrupt(f"{path}: the file has, unlike its architecture, the weight {name!r}; {_NEXT}")
    for name, value in model.weights.items():
        found, expected = _kind(value), f"{wanted[name].dtype} {tuple(wanted[name].shape)}"
        if found != expected:
            raise DataCorrupt(f"{path}: the weight {name!r} is {found}, not {expected}; {_NEXT}")
        if not value.isfinite().all():
            raise DataCorrupt(f"{path}: the weight {name!r} holds NaN or infinity, not only finite numbers; {_NEXT}")


def _kind(value: object) -> str:
    """Return the type and shape of a weight."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    if value.is_nested or value.is_meta or value.layout is not torch.strided:
        return "a tensor that is sparse, nested or without values"
    return f"{value.dtype} {tuple(value.shape)}"
