"""Gather what goes beyond a track's own section, as far as the study has the runs and the references for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from harness.core.records import Section
from reports.across import across, across_table, improvement_figure, score_profile_figure
from reports.agreement import agreement_figure
from reports.analysis import TrackAnalysis
from reports.anytime import evaluations_figure
from reports.distribution import profile_figure, space_figure
from reports.expected import expected_figure
from reports.frame import Frame
from reports.frontier import tradeoff_figures, tradeoff_table
from reports.standing import diagram, rank_figure, without_diagram
from reports.targets import target_figure, target_table
from reports.variance import variance_table

Kind = TypeVar("Kind")


def across_section(frame: Frame, analyses: Mapping[str, TrackAnalysis]) -> Iterator[Section]:
    """Yield the section over several tracks; nothing where fewer than two can be compared."""
    found = across(frame, analyses)
    if found is None:
        return
    figures = (score_profile_figure(found), improvement_figure(found), rank_figure(found), diagram(found))
    yield Section("Across tracks", without_diagram(found), (across_table(found),), _known(figures))


def further_sections(frame: Frame, analyses: Mapping[str, TrackAnalysis]) -> Iterator[Section]:
    """Yield compromises and further views of every track, and the components of variance, each where there is any."""
    for analysis in analyses.values():
        if not analysis.track.record.skipped:
            yield from _compromises(analysis)
            yield from _views(frame, analysis)
    variance = variance_table(frame)
    if variance:
        yield Section("Components of variance", tables=(variance,))


def _compromises(analysis: TrackAnalysis) -> Iterator[Section]:
    table = tradeoff_table(analysis)
    if table:
        yield Section(f"Compromises on {analysis.track.id}", "", (table,), tuple(tradeoff_figures(analysis)))


def _views(frame: Frame, analysis: TrackAnalysis) -> Iterator[Section]:
    figures = _known(
        (
            evaluations_figure(analysis),
            profile_figure(analysis),
            target_figure(frame, analysis),
            space_figure(analysis),
            agreement_figure(analysis),
            expected_figure(analysis),
        )
    )
    tables = _known((target_table(analysis),))
    if figures or tables:
        yield Section(f"Further views of {analysis.track.id}", "", tables, figures)


def _known(found: Iterable[Kind | None]) -> tuple[Kind, ...]:
    return tuple(one for one in found if one is not None)
