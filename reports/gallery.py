"""Draw what a growing search has kept: cells on the hull, the hull over the budget, the tree of growth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean, stdev
from typing import Literal

from harness.core.canonical import Json
from harness.core.hull import lower_hull
from harness.core.records import Figure, Series, Table
from reports.drawings import Graph, arcs, graphs
from reports.lineages import Lineages, Member
from reports.wording import ABSENT, amount, number, runs_of

_SHARES = (0.25, 0.5, 0.75, 1.0)
_COLUMNS = 9.5  # units of a row of drawings
_DOWN = 2.9  # units from one row to the next
_LEAST = 4.4  # units that a caption takes

Labels = tuple[str, str]
"""Of the axis across and of the axis up."""


@dataclass(frozen=True, slots=True)
class Retraining:
    """What a protocol says of the final training of the networks on the hull.

    Attributes:
        metric: the primary sealed metric.
        seeds: how many final seeds there are.
        axis: the cost of the hull.
    """

    metric: str
    seeds: int
    axis: str


def on_hull(lineages: Lineages) -> list[int]:
    """Return the members on the lower hull at the end, by rising cost."""
    return lower_hull([(member.cost, member.error) for member in lineages.members])


def gallery_table(lineages: Lineages, name: str, title: str, unit: str, again: Retraining | None = None) -> Table:
    """Return the members on the hull with size, error and line; the CSV has the whole pool.

    Args:
        lineages: the pool.
        name: of the table.
        title: of the table.
        unit: of the budget.
        again: how the members were trained finally; None where only what the run recommends was.
    """
    hull = on_hull(lineages)
    rows = tuple(_row(lineages, place, index, again) for place, index in enumerate(hull, start=1))
    data = tuple(
        {
            "member": index,
            "on_hull": index in hull,
            "arch": member.arch,
            "multiply_adds": _known(member.cost),
            "parameters": _known(member.parameters),
            "error": member.error,
            "spent": member.spent,
            "parent": member.parent,
            "moves": " ".join(member.moves),
            **({} if again is None else _tested(lineages, member)),
        }
        for index, member in enumerate(lineages.members)
    )
    note = (
        "Networks of the pool that no mixture of others beats in validation error and multiply-adds, by rising cost "
        f"(of one image; these and the parameters in millions); {len(lineages.members)} were trained. `grown by` is "
        f"the line from the founder. Spent: {unit}.{_said(again)}"
    )
    sizes, line = ("", "multiply-adds", "parameters", "validation error"), ("growths", "grown by", "spent")
    tested = () if again is None else ("test (seeds)",)
    return Table(name, title, (*sizes, *tested, *line, "architecture"), rows, note, data)


def _said(again: Retraining | None) -> str:
    if again is None:
        return ""
    return (
        f" Test: {again.metric} of this architecture trained anew under the final recipe, outside the budget: mean ± "
        "standard deviation over the final seeds with their number. Nothing was chosen by it. A dash: not on the hull "
        f"over {again.axis}, which decides what is trained, or every training failed."
    )


def _tested(lineages: Lineages, member: Member) -> dict[str, Json]:
    values = lineages.tested.get(member.arch, ())
    return {
        "test_mean": fmean(values) if values else None,
        "test_sd": stdev(values) if len(values) > 1 else None,
        "test_seeds": len(values),
    }


def _shown(values: Sequence[float], seeds: int) -> str:
    if not values:
        return ABSENT
    spread = f" ± {number(stdev(values), 2)}" if len(values) > 1 else ""
    return f"{number(fmean(values), 2)}{spread} ({runs_of(len(values), seeds)})"


def _row(lineages: Lineages, place: int, index: int, again: Retraining | None) -> tuple[str, ...]:
    member, line = lineages.members[index], lineages.chain(index)
    grown = "; ".join(", ".join(each.moves) for each in line[1:]) or "a founder"
    sizes = (number(member.cost, 3), number(member.parameters, 3), number(member.error, 2))
    tested = () if again is None else (_shown(lineages.tested.get(member.arch, ()), again.seeds),)
    return (str(place), *sizes, *tested, str(len(line) - 1), grown, amount(member.spent), member.arch)


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


def gallery_figure(lineages: Lineages, name: str, title: str) -> Figure | None:
    """Return drawings of the cells on the hull; None where architectures of this space are not drawn."""
    drawn = [(lineages.members[index], graphs(lineages.members[index].arch)) for index in on_hull(lineages)]
    if not any(cells for _, cells in drawn):
        return None
    series: list[Series] = []
    texts: list[tuple[float, float, str]] = []
    left, down = 0.0, 0.0
    for place, (member, cells) in enumerate(drawn, start=1):
        if left and left + sum(map(_width, cells)) > _COLUMNS:
            left, down = 0.0, down - _DOWN
        for graph in cells:
            start = left + (_width(graph) - len(graph.nodes)) / 2
            series += _cell(graph, start, down)
            texts += [(start + spot, down - 0.12, node) for spot, node in enumerate(graph.nodes)]
            texts.append((start + (len(graph.nodes) - 1) / 2, down - 0.55, _caption(place, member, graph)))
            left += _width(graph)
    spots = [(x, y + 0.12) for x, y, words in texts if "\n" not in words]
    xs, ys = tuple(x for x, _ in spots), tuple(y for _, y in spots)
    series.append(Series("node", xs, ys, ys, ys, role="reference", style="points"))
    note = (
        "Cells on the hull by rising cost; each arc is an operation from the node on its left to the one on its right."
    )
    return Figure(name, title, "", "", tuple(series), note, x_log="linear", texts=tuple(texts))


def _width(graph: Graph) -> float:
    """Return the room that a cell takes: that of its nodes, and of its caption at least."""
    return max(_LEAST, float(len(graph.nodes)))


def _cell(graph: Graph, left: float, down: float) -> list[Series]:
    found = []
    for operation, xs, ys in arcs(graph):
        x, y = tuple(left + each for each in xs), tuple(down + each for each in ys)
        found.append(Series(operation, x, y, y, y, style="line"))
    return found


def _caption(place: int, member: Member, graph: Graph) -> str:
    name = f" {graph.name}" if graph.name else ""
    return f"{place}.{name}\n{number(member.cost, 2)} M multiply-adds, error {number(member.error, 1)}"


def hull_figure(lineages: Lineages, name: str, title: str, labels: Labels, limit: float) -> Figure:
    """Return the pool in the plane of error over cost, and its lower hull at quarters of the budget.

    Args:
        lineages: the pool.
        name: of the figure.
        title: of the figure.
        labels: of the axes, with their units.
        limit: of the budget, in its unit.
    """
    members = [member for member in lineages.members if isfinite(member.cost)]
    series = [
        _curve("founders", [(m.cost, m.error) for m in members if m.parent < 0], "points"),
        _curve("grown", [(m.cost, m.error) for m in members if m.parent >= 0], "points"),
        *(_curve(f"hull at {share:.0%} of the budget", _hull(members, share * limit), "line") for share in _SHARES),
    ]
    note = "Every trained network of one run; parents are drawn from near the hull as it is at the time."
    shown = tuple(one for one in series if one.x)
    return Figure(name, title, *labels, shown, note, x_log="linear")


def _hull(members: Sequence[Member], spent: float) -> list[tuple[float, float]]:
    points = [(member.cost, member.error) for member in members if member.spent <= spent]
    return [points[index] for index in lower_hull(points)]


def _curve(label: str, points: Sequence[tuple[float, float]], style: Literal["line", "points"]) -> Series:
    xs, ys = tuple(x for x, _ in points), tuple(y for _, y in points)
    return Series(label, xs, ys, ys, ys, style=style)


def tree_figure(lineages: Lineages, name: str, title: str, labels: Labels) -> Figure:
    """Return the tree of growth: each network at the budget spent when it was known, joined to its parent.

    Args:
        lineages: the pool.
        name: of the figure.
        title: of the figure.
        labels: of the axes, with their units.
    """
    members = lineages.members
    series = [
        _curve("founder", [(m.spent, m.error) for m in members if m.parent < 0], "points"),
        _curve("child", [(m.spent, m.error) for m in members if m.parent >= 0], "points"),
    ]
    for member in members:
        if member.parent >= 0:
            parent = members[member.parent]
            ends = [(parent.spent, parent.error), (member.spent, member.error)]
            series.append(_curve("grown from", ends, "line"))
    note = "A line leads from each parent to its child, at the points of the budget at which they were trained."
    shown = tuple(one for one in series if one.x)
    return Figure(name, title, *labels, shown, note, x_log="linear")
