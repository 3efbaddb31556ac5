from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from benchmarks.training.drop_path import DropPath, Path

CPU = torch.device("cpu")


class Chain(nn.Module):
    """Identities in a row; each is an operation that can be dropped."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.Identity() for _ in range(cells))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [cell(images) for cell in self.cells]

    def paths(self) -> list[Path]:
        return [Path(cell, number / len(self.cells)) for number, cell in enumerate(self.cells, start=1)]


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def outputs(chain: Chain, paths: DropPath, share: float, images: int = 4000) -> Tensor:
    """Return what each cell makes of a one for each image, (cells, images)."""
    with paths.hooked():
        paths.draw(share, images, CPU)
        return torch.stack([value.flatten(1)[:, 0] for value in chain(torch.ones(images, 2, 3, 3))])


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_keep_probability_falls_with_depth_and_with_the_steps_done(share: float) -> None:
    chain = Chain(4)
    values = outputs(chain, DropPath([chain], [stream()], 0.2), share)
    for number, row in enumerate(values, start=1):
        kept = 1 - number / 4 * share * 0.8
        assert sorted(set(row.tolist())) == pytest.approx([0, 1 / kept]), "what is kept is divided by the probability"
        assert float((row > 0).float().mean()) == pytest.approx(kept, abs=0.03)
        assert float(row.mean()) == pytest.approx(1, abs=0.15)


def test_each_image_loses_all_of_an_output_or_nothing() -> None:
    chain = Chain(1)
    paths = DropPath([chain], [stream()], 0.5)
    with paths.hooked():
        paths.draw(1.0, 64, CPU)
        (output,) = chain(torch.ones(64, 2, 3, 3))
    flat = output.flatten(1)
    assert torch.equal(flat.amin(1), flat.amax(1))
    assert 0 < int((flat[:, 0] == 0).sum()) < 64


def test_every_operation_draws_for_itself() -> None:
    chain = Chain(3)
    values = outputs(chain, DropPath([chain], [stream()], 0.1), 1.0)
    assert not torch.equal(values[1] > 0, values[2] > 0)


@pytest.mark.parametrize("shared", [False, True])
def test_networks_beside_each_other_draw_from_their_own_streams(shared: bool) -> None:  # noqa: FBT001
    one, other = Chain(2), Chain(3)
    first = stream(1)
    both = DropPath([one, other], [first, first if shared else stream(2)], 0.5)
    alone = DropPath([one], [stream(1)], 0.5)
    same = [torch.equal(outputs(one, both, 1.0), outputs(one, alone, 1.0)) for _ in range(3)]
    assert same == [True, not shared, not shared], "what comes after a first draw of the other would be shifted"


def test_nothing_stays_on_the_network() -> None:
    chain = Chain(2)
    paths = DropPath([chain], [stream()], 0.5)
    values = outputs(chain, paths, 1.0)
    ones = torch.ones(8, 2, 3, 3)
    for network in (chain, copy.deepcopy(chain)):
        assert all(torch.equal(value, ones) for value in network(ones))
    assert not torch.equal(values, torch.ones_like(values))
    with pytest.raises(RuntimeError, match="killed"), paths.hooked():
        raise RuntimeError("killed")
    assert all(torch.equal(value, ones) for value in chain(ones))


def test_where_nothing_is_dropped_nothing_is_drawn() -> None:
    chain, generator = Chain(2), stream()
    before = generator.get_state()
    values = outputs(chain, DropPath([], [], 1.0), 1.0)
    assert torch.equal(values, torch.ones_like(values))
    assert torch.equal(generator.get_state(), before)
