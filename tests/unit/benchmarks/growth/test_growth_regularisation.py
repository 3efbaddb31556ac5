"""What regularises networks of the growth space does so in training, and leaves no trace where it is off."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.spaces.growth import GrowthSpace
from benchmarks.spaces.growth_size import GrowthSkeleton
from benchmarks.training.auxiliary import Assisted
from benchmarks.training.drop_path import DropPath
from benchmarks.training.evaluate import Resident
from benchmarks.training.growth_benchmark import GrowthTraining
from benchmarks.training.growth_cells import GrownNetwork, build_grown
from benchmarks.training.growth_family import GrownAttached, GrowthFamily
from benchmarks.training.growth_settings import GrowthConfig
from benchmarks.training.phases import Phase, Regime
from benchmarks.training.recipe import Recipe
from benchmarks.training.regularisation import Regularisation
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Attach, Evaluate, Move

OpenGrowth = Callable[..., GrowthTraining]

SMALL = GrowthSkeleton(channels=2, cells=2, reductions=2, image_size=8, image_channels=1)
ARCH = Arch("cell normal[concat(c2.max3x3+c1.dil-sep5x5+c1.identity)] reduction[sum(c2.identity+c1.avg3x3)]")
SEEDS = SeedTree.root("regularisation", 0)


def images(count: int = 16) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def phase(epochs: int = 2, **options: Any) -> Phase:
    """Return a phase of three steps an epoch, with this regularisation."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 17, (48, 1, 8, 8), generator=generator, dtype=torch.uint8)
    split = Resident(pixels, torch.arange(48) % 10, torch.tensor([4.9]), torch.tensor([6.0]))
    recipe = Recipe(channels=2, cells=2, batch_size=16, flip=False, crop_padding=1)
    regime = Regime(recipe, split, split, 1, "test", Regularisation(**options))
    return Phase(build_grown(ARCH, SMALL, 1), regime, epochs, SEEDS)


def trained(**options: Any) -> dict[str, Tensor]:
    made = phase(**options)
    made.advance()
    made.advance()
    return made.network.state_dict()


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_each_option_changes_a_training_and_what_never_sets_in_does_not() -> None:
    plain = trained()
    assert same(plain, trained(cutout=0, drop_path_keep=1.0, weight_decay_steps=6))
    for options in ({"cutout": 3}, {"drop_path_keep": 0.5}, {"weight_decay_steps": 5}):
        assert not same(plain, trained(**options)), options


def test_the_paths_are_all_operations_but_identities_at_the_depth_of_their_cells() -> None:
    network = build_grown(ARCH, SMALL, 1)
    names = {module: name for name, module in network.named_modules()}
    normal = ("seed.sep3x3", "added.0.operations.c2-max3x3", "added.0.operations.c1-dil-sep5x5")
    reduction = ("seed.sep3x3", "added.0.operations.c1-avg3x3")
    kinds = (normal, normal, reduction, normal, normal, reduction, normal, normal)
    assert [(names[path.operation], path.depth) for path in network.paths()] == [
        (f"cells.{place}.{name}", (place + 1) / 8) for place, kind in enumerate(kinds) for name in kind
    ]


def test_the_paths_of_an_attachment_are_its_candidates_alone() -> None:
    moves = tuple(Move(f"normal:{pair}") for pair in ("c1.sep3x3", "c1.identity", "c2.max3x3"))
    family = GrowthFamily(GrowthSpace(SMALL))
    network = family.attach(family.found(ARCH, 1), Attach(Evaluate(ARCH, 1), moves, "sg+sf", 1), 2)
    assert isinstance(network, GrownAttached)
    assert [path.depth for path in network.paths()] == [place / 8 for place in (1, 2, 4, 5, 7, 8) for _ in range(2)]
    parents = set(network.parent.modules())
    assert not any(path.operation in parents for path in network.paths())


def test_nothing_is_dropped_where_a_network_is_evaluated() -> None:
    made = phase(drop_path_keep=0.1)
    made.advance()
    assert not any(module._forward_hooks for module in made.network.modules())
    one, other = copy.deepcopy(made.network), copy.deepcopy(made.network)
    assert torch.equal(one.train()(images()), other.train()(images()))


def test_the_share_of_the_steps_counts_the_present_one_and_ends_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []
    draw = DropPath.draw

    def noted(paths: DropPath, share: float, *rest: Any) -> None:
        shares.append(share)
        draw(paths, share, *rest)

    monkeypatch.setattr(DropPath, "draw", noted)
    trained(drop_path_keep=0.5)
    assert shares == pytest.approx([step / 6 for step in range(1, 7)])


def test_the_weight_decay_falls_to_a_fifth_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    step = torch.optim.SGD.step

    def noted(optimiser: torch.optim.SGD) -> None:
        seen.append(optimiser.param_groups[0]["weight_decay"])
        step(optimiser)

    monkeypatch.setattr(torch.optim.SGD, "step", noted)
    trained(weight_decay_steps=2)
    own = Recipe().weight_decay
    assert seen == pytest.approx([own, own, own / 5, own / 5, own / 25, own / 25])


def test_cutout_blanks_a_square_of_each_normalised_image() -> None:
    without, with_squares = phase(), phase(cutout=5)
    sizes = []
    epochs = [zip(without._batches(), with_squares._batches(), strict=True) for _ in range(2)]
    for (plain, labels), (blanked, others) in chain.from_iterable(epochs):
        assert torch.equal(labels, others), "the same images in the same order"
        changed = plain != blanked
        assert torch.equal(blanked, plain.masked_fill(changed, 0.0)), "all else is as without"
        sizes += changed.flatten(1).sum(1).tolist()
    assert len(sizes) == 2 * 48
    assert min(sizes) >= 3 * 3
    assert max(sizes) == 5 * 5


@pytest.mark.parametrize(("reductions", "place", "left"), [(1, 1, 2), (2, 4, 1)])
def test_the_head_reads_the_cell_before_the_last_reduction(reductions: int, place: int, left: int) -> None:
    network = Assisted(build_grown(ARCH, replace(SMALL, reductions=reductions), 1), 0.4, 1)
    assert network.place == place
    seen: list[Tensor] = []
    network.network.cells[place].register_forward_hook(lambda _, __, output: seen.append(output))
    network.head.register_forward_hook(lambda _, inputs, output: seen.extend([*inputs, output]))
    network.loss(images(), torch.arange(16) % 10).backward()
    assert seen[0] is seen[1]
    assert seen[2].shape == (16, 10)
    assert network.head[5].kernel_size == (left, left)
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_head_of_cifar_is_the_published_one() -> None:
    network = Assisted(build_grown("cell normal[] reduction[]", GrowthSkeleton(channels=4, cells=1), 0), 0.4, 0)
    shapes = [tuple(value.shape) for value in network.head.parameters() if value.dim() > 1]
    assert shapes == [(128, 8, 1, 1), (768, 128, 4, 4), (10, 768)]


def test_the_head_adds_its_share_to_the_loss_and_nothing_to_the_logits() -> None:
    network, labels = Assisted(build_grown(ARCH, SMALL, 1), 0.4, 1).eval(), torch.arange(16) % 10
    assert torch.equal(network(images()), build_grown(ARCH, SMALL, 1).eval()(images()))
    losses = []
    for weight in (0.0, 0.4, 0.8):
        network.weight = weight
        losses.append(network.loss(images(), labels).item())
    assert losses[0] == pytest.approx(functional.cross_entropy(network(images()), labels).item())
    assert losses[1] - losses[0] == pytest.approx(losses[2] - losses[1], rel=1e-3)
    assert losses[1] > losses[0] + 0.1


def test_the_head_asks_no_generator_of_torch_and_shifts_no_weight() -> None:
    before = torch.random.get_rng_state()
    first, second = (Assisted(build_grown(ARCH, SMALL, 1), 0.4, 1) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(first.state_dict(), second.state_dict())
    assert same(first.network.state_dict(), build_grown(ARCH, SMALL, 1).state_dict())


def test_final_networks_are_trained_with_the_head_and_are_without_it(open_growth: OpenGrowth, tmp_path: Path) -> None:
    plain = open_growth(cache=tmp_path / "plain")
    helped = open_growth(cache=tmp_path / "helped", final_auxiliary=0.4)
    network = helped.network(ARCH, 3)
    assert type(network) is GrownNetwork
    assert not same(network.state_dict(), plain.network(ARCH, 3).state_dict()), "it was trained otherwise"
    count = helped._config.final_skeleton().count(helped.space.plan(ARCH))
    assert sum(value.numel() for value in network.parameters()) == count.parameters
    assert helped.final_cost(ARCH) == plain.final_cost(ARCH)
    again = open_growth(cache=tmp_path / "helped", final_auxiliary=0.4).network(ARCH, 3)
    assert same(network.state_dict(), again.state_dict()), "from the shelf"
    searched = [benchmark.network_of(Evaluate(ARCH, 2), 3).state_dict() for benchmark in (helped, plain)]
    assert same(*searched), "the search has no head"


def test_the_options_reach_the_trainings_that_they_name() -> None:
    config = GrowthConfig(
        cutout=4, drop_path_keep=0.7, final_drop_path_keep=0.6, final_auxiliary=0.4, weight_decay_steps=9
    )
    assert config.regularisation() == Regularisation(4, 0.7, 0.0, 9)
    assert config.final_regularisation() == Regularisation(4, 0.6, 0.4, 9)


def test_manifests_name_what_is_on_and_nothing_else(open_growth: OpenGrowth) -> None:
    assert not {"regularisation", "final_regularisation"} & set(open_growth().manifest())
    manifest = open_growth(final_drop_path_keep=0.6).manifest()
    assert manifest["final_regularisation"] == {"drop_path_keep": 0.6}
    assert "regularisation" not in manifest
