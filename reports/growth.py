"""Report what grew: the gallery of networks on the hull, the hull over time, the tree of growth, the diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from harness.core.canonical import Json
from harness.core.records import Document, Figure, Section, StudyRecord, Table
from reports.frame import BASE, declared_exclusions
from reports.gallery import Retraining, gallery_figure, gallery_table, hull_figure, tree_figure
from reports.lineages import Lineages, read_lineages
from reports.selections import Diagnosis, diagnose
from reports.wording import ABSENT, is_percent, looked_up, number, signed, trains_hull, unit_name

_NOTHING = "No complete run of this study grew a network."
_ABOUT = (
    "Everything here is read from the records: the pool of a run is what it trained within its budget. Pictures show "
    "the first complete replicate of a row, chosen by its number and by nothing else."
)
_NOTE = (
    "Overlap: Jaccard overlap of what two replicates chose for the same parent and cell, mean over their pairs, beside "
    "what equally many random moves overlap by. Margin: how far the last chosen weight stands above the first "
    "that was not chosen, as a share of it, median (negative where weights did not choose). Parent moved: validation "
    "accuracy of the parent after a phase of attachment less that before. With candidates: the same with the "
    "candidates still attached, in the arms in which they change a value. Drift: relative distance of the parent's "
    "weights from those that it has after the same phase without candidates. Weight and gain: Spearman's correlation "
    "of the chosen candidates' mean weight and the fall in error from parent to child; about candidates that were not "
    "chosen the records know nothing. Parents here: Spearman's correlation of the validation accuracy that parents had "
    "when candidates were attached with that which the search was told of them, each parent of a run once; a dash "
    "where both are of one training. A dash elsewhere: not measured."
)
_COLUMNS = (
    "row", "runs", "attachments", "growths", "founders per run", "overlap (pairs)", "by chance", "margin",
    "parent moved, points", "with candidates, points", "drift", "weight and gain", "parents here",
)  # fmt: skip


def build(study: StudyRecord) -> Document:
    """Return the report of growth, a pure function of the records."""
    protocol: Mapping[str, Any] = study.protocol
    plans = list(protocol["tracks"])
    excluded = declared_exclusions(study)
    found = [one for one in read_lineages(study, plans) if one.spec.id not in excluded]
    sections = [Section("About", _ABOUT if found else _NOTHING)]
    for plan in plans:
        record = study.tracks[plan["id"]]
        unit = unit_name(plan["budget"]["unit"], simulated=looked_up(record.manifest))
        sections += _track(plan, unit, [one for one in found if one.spec.track == plan["id"]])
    title = protocol["title"] or protocol["protocol"]
    return Document("growth", f"Growth: {title} ({protocol['protocol']} {protocol['version']})", tuple(sections))


def _track(plan: Mapping[str, Any], unit: str, found: Sequence[Lineages]) -> list[Section]:
    rows: dict[tuple[str, str], list[Lineages]] = {}
    for one in found:
        rows.setdefault((one.spec.method, one.spec.variant), []).append(one)
    if not rows:
        return []
    shown = [_pictures(plan, unit, runs[0]) for (_, variant), runs in rows.items() if variant == BASE]
    return [*shown, Section(f"Selection on {plan['id']}", tables=(_diagnostics(plan, rows),))]


def _pictures(plan: Mapping[str, Any], unit: str, lineages: Lineages) -> Section:
    spec = lineages.spec
    name, where = f"{spec.track}-{spec.method}", f"{spec.method} on {spec.track}, replicate {spec.replicate}"
    axis = next((m for m in plan["objective"]["secondary"] if m.endswith("/multiply-adds")), "multiply-adds")
    error = f"validation error{', %' if is_percent(plan['objective']['metric']) else ''}"
    figures: tuple[Figure | None, ...] = (
        gallery_figure(lineages, f"gallery-{name}", f"Cells on the hull: {where}"),
        hull_figure(
            lineages,
            f"hull-{name}",
            f"Error over cost: {where}",
            (f"{axis}, millions", error),
            float(plan["budget"]["limit"]),
        ),
        tree_figure(lineages, f"tree-{name}", f"Tree of growth: {where}", (f"spent, {unit}", error)),
    )
    table = gallery_table(lineages, f"pool-{name}", f"Gallery: {where}", unit, _retraining(plan))
    return Section(f"Gallery of {where}", "", (table,), tuple(figure for figure in figures if figure))


def _retraining(plan: Mapping[str, Any]) -> Retraining | None:
    if not trains_hull(plan):
        return None
    return Retraining(plan["final"]["metrics"][0], len(plan["final"]["seeds"]), plan["objective"]["secondary"][0])


def _diagnostics(plan: Mapping[str, Any], rows: Mapping[tuple[str, str], Sequence[Lineages]]) -> Table:
    found = {_label(*key): diagnose(runs) for key, runs in rows.items()}
    lines = tuple(_line(label, diagnosis) for label, diagnosis in found.items())
    data: tuple[Mapping[str, Json], ...] = tuple(
        {"row": label, **{name: _plain(getattr(one, name)) for name in Diagnosis.__dataclass_fields__}}
        for label, one in found.items()
    )
    return Table(f"selection-{plan['id']}", f"Selections on {plan['id']}", _COLUMNS, lines, _NOTE, data)


def _label(method: str, variant: str) -> str:
    return method if variant == BASE else f"{method} [{variant}]"


def _line(label: str, one: Diagnosis) -> tuple[str, ...]:
    overlap = f"{number(one.overlap, 2)} ({one.pairs})" if one.pairs else ABSENT
    return (
        label,
        str(one.runs),
        str(one.attachments),
        str(one.growths),
        number(one.founders, 1),
        overlap,
        _shown(one.chance, 2),
        _shown(one.margin, 3),
        _signed(one.changed),
        _signed(one.joined),
        _shown(one.drift, 4),
        _signed(one.correlation),
        _signed(one.scale),
    )


def _shown(value: float, digits: int) -> str:
    return number(value, digits) if isfinite(value) else ABSENT


def _signed(value: float) -> str:
    return signed(value, 2) if isfinite(value) else ABSENT


def _plain(value: float) -> Json:
    return value if isfinite(value) else None
