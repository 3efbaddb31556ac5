"""Keep a trained dish: predict from it, write it to a file, read it back."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from harness.core.canonical import canonical_json
from harness.core.errors import DataCorrupt, DataMissing
from methods.surrogates.spd.inner import Inner, unroll
from methods.surrogates.spd.motif import Motif, Params, describe, motif_of
from methods.surrogates.spd.settings import DishSettings, Phase

Floats = NDArray[np.float64]

AT_ONCE = 4096  # motifs times restarts in one piece of a prediction: bounds the memory
FORMAT = 1
WEIGHTS = "weights."
READING = "reading."


@dataclass(frozen=True)
class Synthetic:
    """What motifs are trained and validated on, for R restarts.

    Attributes:
        inputs: (R, 2, samples, *input_shape): training data, then validation data.
        labels: (R, 2, samples, *output_shape), in [0, 1].
        weights: the initial weights that all motifs share, (R, ...) each.
    """

    inputs: Tensor
    labels: Tensor
    weights: Params

    def tensors(self) -> dict[str, Tensor]:
        """Return everything by name."""
        return {
            "inputs": self.inputs,
            "labels": self.labels,
            **{f"{WEIGHTS}{name}": weight for name, weight in self.weights.items()},
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Synthetic:
        """Return the synthetic data whose `tensors` these are."""
        weights = {name.removeprefix(WEIGHTS): tensor for name, tensor in tensors.items() if name.startswith(WEIGHTS)}
        return cls(tensors["inputs"], tensors["labels"], weights)


@dataclass(frozen=True)
class Reading:
    """How scores are read: the statistics of the training motifs, (R,) each.

    Attributes:
        mean: of the scores; `std` is their population deviation.
        truth_mean: of the transformed ground truth; `truth_std` is its population deviation.
        error: mean squared error on the training motifs, in z-units.
    """

    mean: Floats
    std: Floats
    truth_mean: Floats
    truth_std: Floats
    error: Floats


@dataclass(frozen=True)
class Artefact:
    """A trained dish with R restarts; predictions are a function of its fields alone.

    Attributes:
        redrawn: for each restart, how often it diverged and was begun again.
        diverged: for each restart, whether its last attempt diverged too.
    """

    motif: Motif
    settings: DishSettings
    data: Synthetic
    reading: Reading
    seed: int
    redrawn: tuple[int, ...]
    diverged: tuple[bool, ...]

    def predict(self, motifs: Sequence[Any], device: str = "cpu") -> Floats:
        """Return the predictions of each restart, (R, M): z-units of the training motifs, more is better.

        The motifs are trained on the learned data from the same initial weights; their scores are normalised with the
        statistics of the training motifs, so that a prediction does not depend on what else is asked for.
        """
        codes = self.motif.encode(motifs)
        return self.standardised(self.scores(codes.expand(len(self.data.inputs), *codes.shape), device))

    def standardised(self, scores: Floats) -> Floats:
        """Return scores, (R, M), in z-units of the training motifs."""
        return (scores - self.reading.mean[:, None]) / self.reading.std[:, None]

    def scores(self, codes: Tensor, device: str = "cpu") -> Floats:
        """Return the validation losses after training, negated, (R, M), for a row of codes, (R, M, ...), a restart."""
        with steady():
            return scores_of(self.motif, self.settings.inner, moved(self.data, device), codes)

    def save(self, path: Path) -> None:
        """Write the artefact: a zip of plain arrays with its settings as JSON."""
        about = {
            "format": FORMAT,
            "motif": describe(self.motif),
            "settings": asdict(self.settings),
            "seed": self.seed,
            "redrawn": list(self.redrawn),
            "diverged": list(self.diverged),
        }
        arrays = {name: tensor.numpy() for name, tensor in self.data.tensors().items()}
        readings = {f"{READING}{name}": values for name, values in asdict(self.reading).items()}
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array(canonical_json(about)), **arrays, **readings)  # type: ignore[arg-type]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())


def load(path: Path) -> Artefact:
    """Read an artefact; nothing in it is executed.

    Raises:
        DataMissing: there is no such file.
        DataCorrupt: it is no artefact of a dish, or of another format.
    """
    if not path.is_file():
        raise DataMissing(f"{path}: no artefact of a dish here; fit one and save it there")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about")))
        if about["format"] != FORMAT:
            raise DataCorrupt(f"{path}: format {about['format']} of dish artefacts, not {FORMAT}; fit the dish anew")
        return _artefact(about, arrays)
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise DataCorrupt(f"{path}: no artefact of a dish ({error}); fit the dish anew") from error


def _artefact(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Artefact:
    reading = {name.removeprefix(READING): array for name, array in arrays.items() if name.startswith(READING)}
    data = {name: torch.from_numpy(array) for name, array in arrays.items() if not name.startswith(READING)}
    settings = dict(about["settings"])
    settings["inner"] = Inner(**settings["inner"])
    settings["phases"] = tuple(Phase(**phase) for phase in settings["phases"])
    return Artefact(
        motif_of(about["motif"]),
        DishSettings(**settings),
        Synthetic.of(data),
        Reading(**reading),
        int(about["seed"]),
        tuple(about["redrawn"]),
        tuple(about["diverged"]),
    )


def restart(artefact: Artefact, index: int) -> Artefact:
    """Return one restart of a dish as a dish of its own."""
    rows = slice(index, index + 1)
    return replace(
        artefact,
        settings=replace(artefact.settings, restarts=1),
        data=Synthetic.of({name: tensor[rows].clone() for name, tensor in artefact.data.tensors().items()}),
        reading=Reading(**{name: values[rows] for name, values in asdict(artefact.reading).items()}),
        redrawn=artefact.redrawn[rows],
        diverged=artefact.diverged[rows],
    )


def moved(data: Synthetic, device: str) -> Synthetic:
    """Return the data on a device."""
    return Synthetic.of({name: tensor.to(device) for name, tensor in data.tensors().items()})


def scores_of(motif: Motif, inner: Inner, data: Synthetic, codes: Tensor) -> Floats:
    """Return what `score` gives, without its gradient and piece by piece, so that any number of motifs fits."""
    codes = like(codes, data.inputs)
    size = max(1, AT_ONCE // len(codes))
    with torch.no_grad():
        pieces = [score(motif, inner, data, part) for part in torch.split(codes, size, dim=1)]
    values: Floats = torch.cat(pieces, dim=1).double().cpu().numpy()
    return values


def like(codes: Tensor, inputs: Tensor) -> Tensor:
    """Return codes on the device of the inputs, in their precision unless they are whole numbers."""
    return codes.to(inputs.device, inputs.dtype if codes.is_floating_point() else codes.dtype)


def score(motif: Motif, inner: Inner, data: Synthetic, codes: Tensor) -> Tensor:
    """Train the motifs of each restart on its data and return the negated validation losses, (R, M).

    Restarts and motifs share one leading axis while they are trained.

    Args:
        motif: the family.
        inner: how motifs are trained.
        data: of R restarts; differentiable.
        codes: (R, M, ...).
    """
    restarts, motifs = codes.shape[:2]

    def spread(tensor: Tensor) -> Tensor:
        return tensor.unsqueeze(1).expand(restarts, motifs, *tensor.shape[1:]).flatten(0, 1)

    flat = codes.flatten(0, 1)
    inputs, labels = spread(data.inputs), spread(data.labels)

    def loss(params: Params, given: Sequence[Tensor]) -> Tensor:
        logits = motif.forward(params, given[0], flat)
        return binary_cross_entropy_with_logits(logits, given[1], reduction="none").flatten(1).mean(1)

    initial = {name: spread(weight) for name, weight in data.weights.items()}
    trained = unroll(loss, initial, (inputs[:, 0], labels[:, 0]), inner)
    return -loss(trained, (inputs[:, 1], labels[:, 1])).view(restarts, motifs)


@contextmanager
def steady() -> Iterator[None]:
    """Compute the same bits every time: one thread, deterministic algorithms; both are put back afterwards.

    One thread is no loss: motifs are so small that calls, not arithmetic, take the time.
    """
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    try:
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
