from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.spaces.growth import GrowthSpace
from benchmarks.spaces.growth_size import GrowthSkeleton
from benchmarks.spaces.growth_text import parse
from benchmarks.training import growth_family, phases
from benchmarks.training.attach import ARMS
from benchmarks.training.determinism import bitwise
from benchmarks.training.drop_path import DropPath
from benchmarks.training.evaluate import Resident
from benchmarks.training.growth_cells import GrownNetwork, build_grown, initialise_parts
from benchmarks.training.growth_family import GrownAttached, GrowthFamily
from benchmarks.training.phases import Phase, Regime
from benchmarks.training.recipe import Recipe
from benchmarks.training.regularisation import Regularisation
from harness.core.errors import UsageError
from harness.core.seeds import SeedTree
from harness.core.types import Arch, Attach, Evaluate, Grow, Move

SMALL = GrowthSkeleton(channels=4, cells=1, image_size=8, image_channels=1)
SPACES = {form: GrowthSpace(SMALL, form=form) for form in ("cell", "macro")}
START = {
    "cell": Arch("cell normal[concat(c1.sep3x3)] reduction[]"),
    "macro": Arch("macro 1[] 2[concat(c1.sep3x3)] 3[] 4[] 5[]"),
}
FORMS = pytest.mark.parametrize("form", ["cell", "macro"])


def images(seed: int = 0, count: int = 6) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def attachment(form: str, arm: str = "sg+sf") -> Attach:
    arch = START[form]
    return Attach(Evaluate(arch, 1), tuple(SPACES[form].moves(arch)), arm, 1)


def attached(form: str, work: Attach | None = None) -> GrownAttached:
    family = GrowthFamily(SPACES[form])
    work = work or attachment(form)
    network = family.attach(family.found(work.arch, 3), work, 4)
    assert isinstance(network, GrownAttached)
    return network


def gradients(network: nn.Module, part: nn.Module, batch: Tensor) -> list[Tensor]:
    labels = torch.arange(len(batch)) % 10
    functional.cross_entropy(network(batch), labels).backward()
    return [parameter.grad.clone() for parameter in part.parameters() if parameter.grad is not None]


def slot_of(form: str) -> str:
    return "normal" if form == "cell" else "2"


def growth(form: str, work: Attach, merge: str = "concat", inherit: str = "weights") -> Grow:
    slot = slot_of(form)
    moves = tuple(Move(f"{slot}:{pair}") for pair in ("c2.max3x3", "c1.sep5x5", "l1.dil-sep3x3"))
    return Grow(work, moves, SPACES[form].grow(work.arch, moves, merge), 1, merge, inherit)


@FORMS
def test_both_stops_leave_logits_and_gradients_of_the_parent(form: str) -> None:
    network, control = attached(form), build_grown(START[form], SMALL, 3)
    for mode in (True, False):
        assert torch.equal(network.train(mode)(images()), control.train(mode)(images()))
    network.train(), control.train()
    parent = gradients(network, network.parent, images(1))
    assert len(parent) == len(list(control.parameters()))
    assert all(map(torch.equal, parent, gradients(control, control, images(1))))
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.operation_parameters())
    assert network.omega.grad is not None
    assert network.omega.grad.all()
    assert all(map(torch.equal, network.parent.buffers(), control.buffers()))


def walked(network: nn.Module, **regularisation: Any) -> Phase:
    """Return a phase after twenty steps on images that a generator drew."""
    generator = torch.Generator().manual_seed(5)
    pixels = torch.randint(0, 17, (160, 1, 8, 8), generator=generator, dtype=torch.uint8)
    split = Resident(pixels, torch.arange(160) % 10, torch.tensor([4.9]), torch.tensor([6.0]))
    recipe = Recipe(channels=4, cells=1, batch_size=16, learning_rate=0.05, flip=False, crop_padding=1)
    regime = Regime(recipe, split, split, 1, "walk", Regularisation(**regularisation))
    with bitwise(1):
        phase = Phase(network, regime, 2, SeedTree.root("walk", 0), penalty=0.001)
        phase.advance()
        phase.advance()
    return phase


@FORMS
@pytest.mark.parametrize("regularisation", [{}, {"drop_path_keep": 0.5, "cutout": 3}], ids=["plain", "regularised"])
@pytest.mark.parametrize("arm", ["sg+sf", "sf", "sg", "joint"])
def test_twenty_steps_of_the_parent_are_those_without_candidates_behind_both_stops_alone(
    form: str, regularisation: dict[str, Any], arm: str
) -> None:
    network = attached(form, attachment(form, arm))
    assert walks_of_the_parent_agree(form, network, **regularisation) == [arm == "sg+sf"] * 3


def walks_of_the_parent_agree(form: str, network: GrownAttached, **regularisation: Any) -> list[bool]:
    """Tell of the parent's parameters, buffers and momentum whether they end as without candidates, bit by bit."""
    walks = walked(network, **regularisation), walked(build_grown(START[form], SMALL, 3), **regularisation)
    parents = network.parent, walks[1].network
    return [
        all(map(torch.equal, *(list(parent.parameters()) for parent in parents))),
        all(map(torch.equal, *(list(parent.buffers()) for parent in parents))),
        all(map(torch.equal, *(walk.momentum() for walk in walks))),
    ]


def one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let drop-path draw for candidates from the stream of their parent."""

    def wrong(networks: Any, generators: Any, keep: float) -> DropPath:
        return DropPath(networks, generators[:1] * len(networks), keep)

    monkeypatch.setattr(phases, "DropPath", wrong)


@FORMS
@pytest.mark.parametrize("sound", [None, one_stream], indirect=True)
def test_candidates_take_nothing_from_the_stream_that_drops_paths_of_their_parent(form: str, sound) -> None:
    work = attachment(form)
    network = attached(form, replace(work, moves=work.moves[:4]))
    assert walks_of_the_parent_agree(form, network, drop_path_keep=0.5) == [sound] * 3


@FORMS
@pytest.mark.parametrize(
    ("arm", "forward", "backward"),
    [("sf", True, False), ("sg", False, False), ("joint", False, False), ("soft", True, True)],
)
def test_the_other_arms_leave_what_they_promise(form: str, arm: str, forward: bool, backward: bool) -> None:  # noqa: FBT001
    network, control = attached(form, attachment(form, arm)), build_grown(START[form], SMALL, 3)
    assert torch.equal(network(images()), control(images())) == forward
    ours, theirs = gradients(network, network.parent, images(1)), gradients(control, control, images(1))
    assert all(map(torch.equal, ours, theirs)) == backward


@FORMS
def test_a_point_stands_in_every_cell_that_can_grow(form: str) -> None:
    network = attached(form)
    assert network.places == (0, 1, 2, 3, 4)
    slots = parse(START[form])
    expected = [len(SPACES[form].moves(START[form]))] if form == "macro" else None
    per_cell = [len(point.moves) for point in network.points]
    assert sum(per_cell) == (expected[0] if expected else 3 * 21 + 2 * 14)
    assert len(slots.layers) == (2 if form == "cell" else 5)
    one = attached(form, replace(attachment(form), moves=(Move(f"{slot_of(form)}:l1.identity"),)))
    assert one.places == ((0, 2, 4) if form == "cell" else (1,))


@FORMS
def test_a_candidate_draws_the_same_whatever_else_is_attached(form: str) -> None:
    move = Move(f"{slot_of(form)}:c1.sep5x5")
    alone, among = attached(form, replace(attachment(form), moves=(move,))), attached(form)
    for place, point in zip(alone.places, alone.points, strict=True):
        other = among.points[among.places.index(place)]
        pairs = zip(
            point.operations[0].parameters(), other.operations[other.moves.index(move)].parameters(), strict=True
        )
        assert all(torch.equal(one, two) for one, two in pairs)
    weights = {tuple(next(point.operations[0].parameters()).flatten()[:3].tolist()) for point in alone.points}
    assert len(weights) == len(alone.points)


def gate_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth_family, "_take_over", lambda added, moves, weights: None)


def grown_with(monkeypatch: pytest.MonkeyPatch, change: Callable[[GrownNetwork], object]) -> None:
    grow = GrowthFamily.grow

    def wrong(*given: Any) -> nn.Module:
        child = grow(*given)
        change(cast("GrownNetwork", child))
        return child

    monkeypatch.setattr(GrowthFamily, "grow", wrong)


def weights_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    grown_with(monkeypatch, lambda child: initialise_parts(child.stem, 99))


@FORMS
@pytest.mark.parametrize("sound", [None, gate_open, weights_fresh], indirect=True)
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_a_child_behind_a_closed_gate_is_its_parent_bit_for_bit(form: str, sound, merge: str) -> None:
    work = attachment(form)
    network = attached(form, work)
    before = copy.deepcopy(network.parent)
    child = GrowthFamily(SPACES[form]).grow(network, growth(form, work, merge), 5)
    for mode in (True, False):
        assert torch.equal(child.train(mode)(images()), before.train(mode)(images())) == sound


def drawn_from_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw weights as torch does by default, from the generator that everybody shares."""

    def default(module: nn.Module, *_: object) -> None:
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                layer.reset_parameters()

    monkeypatch.setattr(growth_family, "initialise_parts", default)


@FORMS
@pytest.mark.parametrize("sound", [None, drawn_from_the_process], indirect=True)
def test_attaching_and_growing_ask_no_generator_of_torch(form: str, sound) -> None:
    work, before = attachment(form), torch.random.get_rng_state()
    GrowthFamily(SPACES[form]).grow(attached(form, work), growth(form, work), 5)
    assert torch.equal(torch.random.get_rng_state(), before) == sound


@FORMS
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_a_child_is_the_plain_network_of_its_architecture(form: str, merge: str) -> None:
    work = attachment(form)
    child = GrowthFamily(SPACES[form]).grow(attached(form, work), growth(form, work, merge), 5)
    plain = build_grown(growth(form, work, merge).arch, SMALL, 0)
    assert [(name, value.shape) for name, value in child.named_parameters()] == [
        (name, value.shape) for name, value in plain.named_parameters()
    ]
    plain.load_state_dict(child.state_dict())
    assert torch.equal(plain.eval()(images()), child.eval()(images()))


def chosen_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    merged = growth_family._merged

    def wrong(layer: Any, slot: str, position: Any, point: Any, *rest: Any) -> nn.Module:
        return merged(layer, slot, position, copy.deepcopy(point), *rest)

    monkeypatch.setattr(growth_family, "_merged", wrong)


def weights_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def copied(child: GrownNetwork) -> None:
        child.stem = copy.deepcopy(child.stem)

    grown_with(monkeypatch, copied)


def candidates_left(monkeypatch: pytest.MonkeyPatch) -> None:
    grown_with(monkeypatch, lambda child: child.cells[0].add_module("left", nn.Conv2d(4, 4, 3)))


@FORMS
@pytest.mark.parametrize("sound", [None, gate_open, chosen_copied, weights_copied, candidates_left], indirect=True)
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_a_child_keeps_the_tensors_of_parent_and_chosen_and_no_others(form: str, sound, merge: str) -> None:
    work = attachment(form)
    network = attached(form, work)
    step = growth(form, work, merge)
    parents = dict(network.parent.named_parameters())
    cell = 1 if form == "macro" else 0
    point = network.points[network.places.index(cell)]
    chosen = [point.operations[point.moves.index(move)] for move in step.moves]
    child = GrowthFamily(SPACES[form]).grow(network, step, 5)
    assert isinstance(child, GrownNetwork)
    added = child.cells[cell].added[1]
    joined = {"weights"} if merge == "sum" else {"project.1.weight", "project.2.weight", "project.2.bias"}
    weights = [1 / len(work.moves)] * 3 if merge == "sum" else None
    shares = None if added.weights is None else added.weights.tolist()
    whole = list(added.operations.values()) == chosen and keeps(child, parents, {"gate"} | joined)
    assert (whole and added.gate.item() == 0.0 and shares == pytest.approx(weights)) == sound


def keeps(child: GrownNetwork, parents: dict[str, nn.Parameter], joined: set[str]) -> bool:
    """Tell whether a child has its parent's parameters, operations in one new layer of a slot, and what joins them."""
    now = dict(child.named_parameters())
    fresh = {name.partition("added.1.")[2] for name in set(now) - set(parents)}
    inherited = all(now[name] is value for name, value in parents.items())
    return inherited and {name for name in fresh if not name.startswith("operations")} == joined


@FORMS
def test_gradient_opens_the_gate(form: str) -> None:
    work = attachment(form)
    child = GrowthFamily(SPACES[form]).grow(attached(form, work), growth(form, work), 5).train()
    gradients(child, child, images(1))
    gates = [value.grad for name, value in child.named_parameters() if name.endswith("added.1.gate")]
    assert gates
    assert all(grad is not None and grad.item() != 0 for grad in gates)


@FORMS
def test_what_is_not_inherited_is_fresh(form: str) -> None:
    work = attachment(form)
    family = GrowthFamily(SPACES[form])
    step = growth(form, work, inherit="nothing")
    child, plain = family.grow(attached(form, work), step, 5), build_grown(step.arch, SMALL, 5)
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in child.state_dict().items())
    before = build_grown(START[form], SMALL, 3).eval()(images())
    remade = family.grow(attached(form, work), replace(step, inherit="all-but-merge"), 5)
    assert not torch.equal(remade.eval()(images()), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"moves": (Move("normal:c2.avg3x3"),)}, "was not attached"),
        ({"arch": START["cell"]}, "ask the space to grow"),
        ({"merge": "sum"}, "merged by 'sum'"),
        ({"merge": "cat"}, "did you mean 'concat'"),
        ({"inherit": "weight"}, "did you mean 'weights'"),
    ],
)
def test_impossible_growth_is_refused(change: dict[str, object], message: str) -> None:
    work = replace(attachment("cell"), moves=tuple(Move(f"normal:{pair}") for pair in ("c2.max3x3", "c1.sep5x5")))
    step = Grow(work, work.moves, SPACES["cell"].grow(work.arch, work.moves), 1)
    with pytest.raises(UsageError) as caught:
        GrowthFamily(SPACES["cell"]).grow(attached("cell", work), replace(step, **change), 1)
    assert message in str(caught.value)


def test_impossible_attachments_are_refused() -> None:
    for change, message in (({"arm": "sgsf"}, "did you mean"), ({"moves": (Move("normal:l2.sep3x3"),)}, "inputs:")):
        with pytest.raises(UsageError, match=message):
            attached("cell", replace(attachment("cell"), **change))
    assert set(ARMS) >= {"sg+sf", "joint"}


@FORMS
def test_nothing_attached_is_the_parent(form: str) -> None:
    bare = attached(form, replace(attachment(form), moves=()))
    assert len(bare.points) == 0
    assert torch.equal(bare(images()), build_grown(START[form], SMALL, 3)(images()))


@FORMS
def test_multiply_adds_count_every_candidate_in_every_cell(form: str) -> None:
    work = attachment(form)
    seen: list[int] = []

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        weights = module.weight[0].numel() + (module.bias is not None)
        seen.append(weights * output[0].numel())

    network = attached(form, work).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    network(images(count=1))
    assert GrowthFamily(SPACES[form]).multiply_adds(work) == sum(seen)
    bare = SPACES[form].count(work.arch).multiply_adds
    assert GrowthFamily(SPACES[form]).multiply_adds(work.after) == bare < sum(seen)
