from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from harness.core.records import Figure, Series
from reports.figures import draw, png, svg

X = (100.0, 1000.0, 20_000.0)
ONE = Series("a method (n = 30)", X, (5.0, 1.0, 0.0), (4.0, 0.5, 0.0), (6.0, 2.0, 0.3))
EXACT = Series("exact", X, (5.0, 2.0, 1.0), (5.0, 2.0, 1.0), (5.0, 2.0, 1.0), role="reference")
FIGURE = Figure("f", "Title", "seconds", "regret", (ONE, EXACT), y_log="log", lines={"random sampling": 7.0})


def test_a_figure_is_well_formed_and_carries_no_date() -> None:
    picture = svg(FIGURE)
    assert ET.fromstring(picture).tag.endswith("svg")
    assert b"<dc:date>" not in picture


def test_the_same_data_give_the_same_bytes_and_other_data_others() -> None:
    assert svg(FIGURE) == svg(FIGURE)
    assert png(FIGURE) == png(FIGURE)
    moved = replace(ONE, middle=(5.0, 1.1, 0.0))
    assert svg(replace(FIGURE, series=(moved, EXACT))) != svg(FIGURE)


def test_curves_are_drawn_as_right_continuous_steps() -> None:
    """A step keeps its height up to the next place: the path has a point at (next x, old y)."""
    line = draw(replace(FIGURE, series=(ONE,), lines={})).axes[0].lines[0]
    assert line.get_drawstyle() == "steps-post"
    assert list(line.get_xdata()) == list(X)


def test_nothing_but_the_given_series_and_lines_is_named() -> None:
    labels = [text.get_text() for legend in draw(FIGURE).legends for text in legend.get_texts()]
    assert labels == ["a method (n = 30)", "exact", "random sampling"]


def test_a_regret_of_zero_lies_below_the_axis_and_does_not_stretch_it() -> None:
    bottom, top = draw(FIGURE).axes[0].get_ylim()
    assert bottom == pytest.approx(0.6)  # of the lowest positive middle, 1.0; the band may leave
    assert top > 7.0


@pytest.mark.parametrize("heights", [(0.0, 0.0, 0.0), (1e-9, 1e-9, 1e-9)])
def test_a_figure_without_any_visible_regret_is_still_drawn(heights: tuple[float, ...]) -> None:
    flat = Series("flat", X, heights, heights, heights)
    assert svg(replace(FIGURE, series=(flat,), lines={}))


def test_more_methods_than_colours_are_all_drawn() -> None:
    many = tuple(replace(ONE, label=str(number)) for number in range(14))
    assert len(draw(replace(FIGURE, series=many, lines={})).axes[0].lines) == 14


def test_one_wide_band_does_not_flatten_the_lines_of_a_linear_figure() -> None:
    poor = Series("poor start", X, (92.0, 95.0, 96.0), (50.0, 94.0, 95.5), (96.0, 96.0, 96.5))
    bottom, top = draw(Figure("f", "T", "x", "y", (poor,))).axes[0].get_ylim()
    assert 88 < bottom < 92
    assert 96.5 < top < 97


@pytest.mark.parametrize("height", [0.0, 95.0])
def test_a_flat_linear_figure_has_room_around_its_line(height: float) -> None:
    flat = Series("flat", X, (height,) * 3, (height,) * 3, (height,) * 3)
    bottom, top = draw(Figure("f", "T", "x", "y", (flat,))).axes[0].get_ylim()
    assert bottom < height < top


def test_rows_with_names_lie_and_run_from_top_to_bottom() -> None:
    box = Series("one", (0.0,), (5.0,), (4.0,), (6.0,), style="box", place=0)
    points = Series("one", (-0.1, 0.1), (4.5, 5.5), (4.5, 5.5), (4.5, 5.5), style="points", place=0)
    other = Series("two", (1.0,), (8.0,), (7.0,), (9.0,), style="points", place=1)
    figure = Figure("f", "T", "rows", "value", (box, points, other), x_log="linear", names={"one": 0.0, "two": 1.0})
    axes = draw(figure).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["one", "two"]
    low, high = axes.get_ylim()
    assert low > high  # the first row is on top
    assert axes.get_xlabel() == "value"
    (patch,) = axes.patches
    assert (patch.get_x(), patch.get_width()) == (4.0, 2.0)  # the box runs along the heights
    assert axes.collections[-1].get_segments()[0][:, 0].tolist() == [7.0, 9.0]  # and so do whiskers
    assert not draw(figure).legends


def test_one_place_has_one_colour_whatever_else_is_drawn() -> None:
    third = replace(ONE, label="third", place=2)
    alone = draw(replace(FIGURE, series=(third,), lines={})).axes[0].lines[0].get_color()
    beside = draw(replace(FIGURE, series=(replace(ONE, place=0), third), lines={})).axes[0].lines[1].get_color()
    assert alone == beside
    assert alone != draw(replace(FIGURE, series=(ONE,), lines={})).axes[0].lines[0].get_color()


def test_bars_reach_from_each_x_to_the_next() -> None:
    bars = Series("space", (1.0, 2.0, 3.0), (5.0, 9.0, 2.0), (0.0,) * 3, (5.0, 9.0, 2.0), "reference", "bars")
    axes = draw(Figure("f", "T", "x", "y", (bars,), x_log="linear")).axes[0]
    assert [(patch.get_x(), patch.get_width(), patch.get_height()) for patch in axes.patches] == [
        (1.0, 1.0, 5.0),
        (2.0, 1.0, 9.0),
        (3.0, 1.0, 2.0),
    ]


def test_a_drawing_of_one_row_shows_its_nodes_whole() -> None:
    nodes = Series("node", (0.0, 1.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), role="reference", style="points")
    arc = Series("op", (0.0, 0.5, 1.0), (0.0, 0.3, 0.0), (0.0, 0.3, 0.0), (0.0, 0.3, 0.0))
    drawing = Figure("cells", "Cells", "", "", (arc, nodes), "", x_log="linear", texts=((0.5, -0.55, "caption"),))
    low, high = draw(drawing).axes[0].get_ylim()
    assert low <= -0.55
    assert high > 0.3
