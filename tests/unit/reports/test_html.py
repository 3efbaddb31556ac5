from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import unquote

import pytest

from harness.core.records import Document, Figure, Section, Series, StudyRecord, Table
from reports.columns import sort_key
from reports.html import html, prose
from reports.inline import PALETTE, drawing, readings
from reports.render import render
from reports.summary import build

EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\"'&"
VOID = {"meta", "link", "img", "br", "wbr"}
CURVE = Series("evolution", (1.0, 10.0, 100.0), (3.0, 2.0, 1.0), (2.5, 1.5, 0.5), (4.0, 3.0, 2.0))
FIGURE = Figure("f", "A figure", "seconds", "regret", (CURVE,), "n = 3", lines={"sampling": 2.5})
TABLE = Table(
    "final-x",
    "Final",
    ("method", "n", "accuracy, %", "verdict"),
    (("random_search", "30", "93.86 ± 0.23 [93.78, 93.94]", "separated"), ("hyperband", "0 of 30", "skipped", "-")),
    "Mean over n runs.",
    strong=frozenset({0}),
)


class Page(HTMLParser):
    """The elements of a page with their attributes, and the texts of some."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, dict[str, str], str]] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = tag, {key: value or "" for key, value in attrs}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((*self._open[-1], data))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str, **attributes: str) -> list[str]:
        wanted = attributes.items()
        return [text for name, found, text in self.texts if name == tag and wanted <= found.items()]


def page(*tables: Table, figures: tuple[Figure, ...] = (), title: str = "T", text: str = "") -> Page:
    return Page(html(Document("summary", title, (Section(title, text, tables, figures),)), ("report.md",)))


@pytest.fixture(scope="module")
def whole() -> Page:
    lying = replace(
        FIGURE,
        name="lying",
        names={"a": 0.0, "b": 1.0},
        series=(Series("s", (0.0, 1.0), (1.0, 2.0), (0.5, 1.5), (2.0, 3.0), style="points"),),
    )
    return page(TABLE, replace(TABLE, name="other"), figures=(FIGURE, lying), title="A study", text="One.\n\n- a\n- b")


def test_no_text_of_a_protocol_becomes_an_element() -> None:
    evil = Table(f"t{EVIL}", EVIL, (EVIL, EVIL), ((EVIL, EVIL), (EVIL, EVIL)), EVIL, strong=frozenset({0}))
    series = replace(CURVE, label=EVIL)
    figure = replace(FIGURE, title=EVIL, note=EVIL, x_label=EVIL, y_label=EVIL, series=(series,), lines={EVIL: 1.5})
    made = page(evil, figures=(figure,), title=EVIL, text=f"{EVIL}\n\n- {EVIL}")
    assert not made.all("img")
    assert len([one for one in made.all("script") if "type" not in one]) == 1
    assert not [key for _, attributes in made.elements for key in attributes if key.startswith("on")]
    assert EVIL in "".join(made.text("h1"))
    (data,) = made.text("script", type="application/json")
    assert json.loads(data)["series"][0]["label"] == EVIL


def test_the_policy_lets_run_what_the_page_holds_and_nothing_else(whole: Page) -> None:
    (policy,) = [one["content"] for one in whole.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    assert "http" not in policy
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        (text,) = [text for name, attributes, text in whole.texts if name == tag and "type" not in attributes]
        assert rules[kind] == f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def test_the_page_needs_nothing_from_elsewhere(whole: Page) -> None:
    assert not [value for tag, one in whole.elements if tag != "svg" for value in one.values() if "//" in value]
    assert not [one for tag, one in whole.elements if "src" in one or "style" in one]
    (style,) = whole.text("style")
    assert "@import" not in style
    assert "url(" not in style


def test_every_id_stands_once_and_every_reference_finds_its_own(whole: Page) -> None:
    ids = Counter(one["id"] for _, one in whole.elements if "id" in one)
    assert [name for name, count in ids.items() if count > 1] == []
    values = [value for _, one in whole.elements for value in one.values()]
    inner = [found for value in values for found in re.findall(r"url\(#([^)]+)\)", value)]
    inner += [one["href"][1:] for _, one in whole.elements if one.get("href", "").startswith("#")]
    inner += [one["aria-labelledby"] for _, one in whole.elements if "aria-labelledby" in one]
    inner += [one["data-figure"] for _, one in whole.elements if "data-figure" in one]
    assert len(inner) > 20
    assert set(inner) <= ids.keys()


def test_every_link_leads_to_a_file_beside_the_page(make_study: Callable[..., StudyRecord]) -> None:
    files = render(build(make_study(ablation={"greed": [1]})))
    made = Page(files["report.html"].decode())
    linked = {unquote(one["href"]) for one in made.all("a") if not one["href"].startswith("#")}
    assert linked == files.keys() - {"report.html"}


def test_headings_go_down_by_one_and_there_is_one_title(whole: Page) -> None:
    levels = [int(tag[1]) for tag, _ in whole.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert whole.all("html")[0]["lang"] == "en"
    assert whole.all("a")[0] == {"class": "skip", "href": "#main"}


def test_figures_take_every_colour_from_the_page(whole: Page) -> None:
    style = "".join(whole.text("style"))
    used = {value for _, one in whole.elements for value in (one.get("fill"), one.get("stroke")) if value}
    assert used <= {"none"} | {f"var({name})" for name in re.findall(r"(--[a-z0-9]+):", style)}
    assert {f"--s{index}" for index in range(len(PALETTE))} <= set(re.findall(r"(--[a-z0-9]+):", style))


def test_a_figure_embeds_what_a_pointer_reads(whole: Page) -> None:
    data = json.loads(whole.text("script", id="figure-f-data")[0])
    assert data["series"] == [
        {
            "label": "evolution",
            "colour": 0,
            "style": "steps",
            "x": [1.0, 10.0, 100.0],
            "middle": [3.0, 2.0, 1.0],
            "low": [2.5, 1.5, 0.5],
            "high": [4.0, 3.0, 2.0],
        }
    ]
    assert data["log"] == [True, False]
    assert data["drawings"].keys() == {"wide", "narrow"}


def test_the_axes_lie_where_the_page_is_told() -> None:
    made = drawing(FIGURE, "p")
    _, _, width, height = (float(end) for end in re.search(r'viewBox="([^"]+)"', made.svg)[1].split())  # type: ignore[index]
    left, top, _, up = made.box
    # The band around the curve begins at the first place of the axis, at the height of the first value.
    share = (4.0 - made.y[0]) / (made.y[1] - made.y[0])
    corner = f"{round(left * width, 2):g} {round((top + up * (1 - share)) * height, 2):g}"
    points = re.findall(r"[ML](\S+) (\S+?)z?(?=[\s\"])", made.svg)
    wanted = [float(end) for end in corner.split()]
    assert any(abs(float(x) - wanted[0]) < 0.1 and abs(float(y) - wanted[1]) < 0.1 for x, y in points)
    assert made.x == pytest.approx((1.0, 100.0))


def test_a_shortened_path_keeps_every_corner() -> None:
    stairs = replace(CURVE, x=tuple(float(x) for x in range(1, 41)), middle=(3.0,) * 20 + (1.0,) * 20)
    flat = replace(stairs, low=stairs.middle, high=stairs.middle)
    made = drawing(replace(FIGURE, series=(flat,), lines={}), "p")
    (path,) = [
        one
        for one in re.findall(r'<path [^>]*d="([^"]+)"[^>]*stroke="var\(--s0\)"[^>]*>', made.svg)
        if one.count("L") > 1
    ]
    assert path.count("M") + path.count("L") == 4  # along, down, along: four corners of forty steps


def test_values_that_json_lacks_become_null() -> None:
    broken = replace(CURVE, middle=(float("nan"), 2.0, float("inf")))
    data = readings(replace(FIGURE, series=(broken,)), {})
    assert data["series"][0]["middle"] == [None, 2.0, None]  # type: ignore[index,call-overload]


def test_tables_know_their_numbers_and_what_is_emphasised(whole: Page) -> None:
    keys = [one.get("data-key") for one in whole.all("td")][:6]
    assert keys == ["30", "93.86", None, "0", None, None]
    assert [one.get("class") for one in whole.all("th") if one["scope"] == "col"][:4] == [None, "num", "num", None]
    assert "".join(whole.text("strong")[:2]) == "random_search"
    assert len(whole.all("tr")) == 2 * 3
    assert len([one for one in whole.all("tr") if one.get("class") == "strong"]) == 2


def test_facts_in_their_own_order_are_not_sorted() -> None:
    facts = Table("study", "Study", ("item", "value"), (("protocol", "x 1"), ("hash", "ab")))
    assert "data-sortable" in page(TABLE).all("table")[0]
    assert "data-sortable" not in page(facts).all("table")[0]


def test_a_table_of_data_alone_is_a_link() -> None:
    made = page(Table("rows", "All rows", (), (), "Note.", ({"v": 1},)))
    assert not made.all("table")
    assert "rows.csv" in [one["href"] for one in made.all("a")]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("93.86 ± 0.23 [93.78, 93.94]", "93.86"),
        ("-7.05", "-7.05"),
        ("+0.19", "0.19"),
        ("20,000", "20000"),
        ("< 0.0001", "0.0001"),
        ("[-0.32, -0.06]", "-0.32"),
        ("29 of 30", "29"),
        ("30 / 30", "30"),
        ("5.3 %", "5.3"),
        ("5e3a75f06c4c", ""),
        ("2026-11-23", ""),
        ("not available", ""),
        ("-", ""),
        ("", ""),
    ],
)
def test_a_column_is_sorted_by_the_number_that_a_cell_begins_with(text: str, key: str) -> None:
    assert sort_key(text) == key


def test_prose_keeps_lists_bold_and_code_and_escapes_the_rest() -> None:
    assert prose("a <b>\n**bold** `x_y`\n\n- one\n- **two** & three") == (
        "<p>a &lt;b&gt; <strong>bold</strong> <code>x_y</code></p>\n"
        "<ul><li>one</li><li><strong>two</strong> &amp; three</li></ul>"
    )
    assert prose("") == ""


def test_a_curve_of_a_single_place_is_drawn() -> None:
    one = Series("method", (2.0,), (3.0,), (3.0,), (3.0,), style="line")
    other = Series("other", (1.0, 4.0), (1.0, 5.0), (1.0, 5.0), (1.0, 5.0), style="line")
    figure = Figure("single", "One place", "x", "y", (one, other), x_log="linear")
    assert drawing(figure, "p").svg.startswith("<svg")
