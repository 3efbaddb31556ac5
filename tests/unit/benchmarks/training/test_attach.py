"""Candidates: with both stops the network does not notice them; without, it does in exactly the way the arm says.

Faults that these checks were seen to fail on stand in `test_attach_checks.py` and `test_attach_silent.py`.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.spaces.nb201_moves import GrowingNasBench201
from benchmarks.training import attach, attach_table
from benchmarks.training.attach import ARMS, arm_of, diagnostics, join, shrink
from benchmarks.training.attach_table import ARCH, COLUMNS, attached, logits, look, measure, parent, same
from benchmarks.training.determinism import bitwise
from harness.core.errors import UsageError
from harness.core.types import Move


@pytest.fixture(autouse=True)
def _bitwise():
    with bitwise(1):
        yield


def wild(*values: float) -> torch.Tensor:
    return torch.tensor(values, requires_grad=True)


@pytest.mark.parametrize("stop_forward", [True, False])
def test_both_sides_of_a_join_receive_the_gradient_the_candidates_a_share_of_it(stop_forward):
    node, candidates, gradient = wild(1.0, 2.0), wild(5.0, 7.0), torch.tensor([3.0, -4.0])
    join(node, candidates, 0.25, stop_forward=stop_forward).backward(gradient)
    assert torch.equal(node.grad, gradient)
    assert torch.equal(candidates.grad, 0.25 * gradient)


def test_plain_addition_is_what_is_left_of_a_join_without_the_stop():
    assert torch.equal(join(wild(1.0, 2.0), wild(5.0, 7.0), stop_forward=False), torch.tensor([6.0, 9.0]))


# The table of the arms

EQUAL, OTHER, ALL, NONE = "=", "≠", "all ≠ 0", "all 0"
EXPECTED = {
    "sg+sf": (EQUAL, EQUAL, EQUAL, ALL, ALL, EQUAL, EQUAL, EQUAL),
    "sf": (EQUAL, EQUAL, OTHER, ALL, ALL, OTHER, OTHER, OTHER),
    "sg": (OTHER, OTHER, OTHER, ALL, ALL, OTHER, OTHER, OTHER),
    "joint": (OTHER, OTHER, OTHER, ALL, ALL, OTHER, OTHER, OTHER),
    "soft": (EQUAL, EQUAL, EQUAL, NONE, NONE, EQUAL, OTHER, OTHER),
    # Two gates at 0 in a row are a saddle: neither ever receives a gradient.
    "soft-gateback": (EQUAL, EQUAL, EQUAL, NONE, NONE, EQUAL, EQUAL, EQUAL),
    "sg+sf, scale 1/N": (EQUAL, EQUAL, EQUAL, ALL, ALL, EQUAL, EQUAL, EQUAL),
}


@pytest.mark.parametrize("column", EXPECTED)
def test_every_arm_does_to_the_parent_what_it_says(column: str):
    assert tuple(measure(*COLUMNS[column]).values()) == EXPECTED[column]


def test_no_arm_is_left_out():
    assert list(EXPECTED) == list(COLUMNS)
    assert {arm for arm, _ in COLUMNS.values()} == set(ARMS)


def test_the_page_shows_this_table():
    page = (Path(__file__).parents[4] / "docs" / "petridish.md").read_text(encoding="utf-8")
    shown = page.partition(f"<!-- {attach_table.PART} begin -->")[2].partition("<!--")[0]
    header, _, *rows = [line.strip("| ").split(" | ") for line in shown.strip().splitlines()]
    columns = {arm: tuple(row[1 + index] for row in rows) for index, arm in enumerate(header)}
    assert columns == EXPECTED


def test_each_node_and_gradient_of_the_parent_is_compared():
    seen, control = look(attached("sg+sf")), look(parent())
    for part in ("values", "parent"):
        names = getattr(control, part).keys() & getattr(seen, part).keys()
        assert sum(".edges." in name for name in names) >= 9  # three edges in three cells
    assert {"logits", "loss"} <= control.values.keys() & seen.values.keys()
    assert all(torch.isfinite(gradient).all() and gradient.any() for gradient in (*seen.operations, *seen.omega))


def test_only_the_gate_moves_a_soft_arm_off_its_start():
    network = attached("soft")
    look(network)
    assert network.gate.grad.abs() > 0
    gateback = attached("soft-gateback")
    look(gateback)
    assert gateback.gate.grad == 0
    assert all(not point.gates.grad.any() for point in gateback.points)


def test_a_candidate_draws_the_same_whatever_else_is_attached_and_in_every_arm():
    moves = GrowingNasBench201().moves(ARCH)
    whole, part = attached("sg+sf"), attached("joint", moves=moves[3:5])
    for move in moves[3:5]:
        for one, other in zip(operations(whole, move), operations(part, move), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def operations(network: attach.Attached, move: Move) -> list[nn.Module]:
    return [point.operations[point.moves.index(move)] for point in network.points if move in point.moves]


def test_candidates_of_different_cells_and_moves_draw_differently():
    network = attached("sg+sf")
    drawn = [
        tuple(parameter.flatten()[:4].tolist()) for parameter in network.operation_parameters() if parameter.dim() > 1
    ]
    assert len(set(drawn)) == len(drawn) > 3


def test_the_diagnostics_are_the_gradient_of_the_weights_and_a_cosine():
    network = attached("sg+sf", scale=0.5)
    network.record(on=True)
    look(network)
    found = diagnostics(network)
    for move, gradient in zip(network.moves, network.omega.grad.tolist(), strict=True):
        assert found[f"{move}|<g,c>"] == pytest.approx(gradient / 0.5, rel=1e-4, abs=1e-8)
        assert -1 <= found[f"{move}|-cos"] <= 1
        assert found[f"{move}|-cos"] * found[f"{move}|<g,c>"] <= 0


def test_the_penalty_keeps_signs_and_never_crosses_zero():
    omega = torch.tensor([0.5, -0.5, 0.01, -0.01, 0.0])
    shrink(omega, 0.1)
    assert omega.tolist() == pytest.approx([0.4, -0.4, 0.0, 0.0, 0.0])


def test_logits_of_a_parent_called_by_itself_ignore_what_is_attached():
    assert same(logits(attached("joint").parent), logits(parent()))


@pytest.mark.parametrize(("scale", "arm"), [(0.0, "sg+sf"), (-1.0, "sf"), (math.nan, "sg")])
def test_a_scale_that_is_not_positive_is_refused(scale: float, arm: str):
    with pytest.raises(UsageError, match="give more than 0"):
        attached(arm, scale=scale)


def test_an_unknown_arm_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"did you mean 'sg\+sf'"):
        arm_of("sg-sf")
