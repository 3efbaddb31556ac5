"""Predicates, by name: pure functions of a study's facts, each of which returns a finding. No rule holds code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reports.checklist.model import Finding
from reports.checklist.predicates import comparing, releasing, reporting, running

Predicate = Callable[..., Finding]

PREDICATES: Mapping[str, Predicate] = {
    predicate.__name__: predicate
    for predicate in (
        releasing.manifest_names,
        releasing.code_recorded,
        releasing.code_committed,
        releasing.options_recorded,
        releasing.method_seeds,
        releasing.final_recorded,
        releasing.space_covers,
        comparing.common_outcomes,
        comparing.one_fingerprint,
        comparing.rows_share_tracks,
        comparing.environments_equal,
        comparing.no_drift,
        comparing.interleaved,
        comparing.nothing_to_ablate,
        comparing.ablated,
        comparing.ablation_paired,
        comparing.one_protocol,
        comparing.no_leak,
        comparing.splits_apart,
        comparing.one_candidate,
        comparing.data_hashed,
        comparing.fingerprint_matches,
        running.traces_complete,
        running.curves_shown,
        running.random_search_runs,
        running.random_search_seeds,
        running.sampler_uniform,
        running.sampling_reference,
        running.seeds_complete,
        running.enough_seeds,
        running.seeds_honoured,
        running.benchmark_kind,
        running.runs_accounted,
        running.exclusions_reasoned,
        running.failures_charged,
        running.replayed,
        reporting.tuning_declared,
        reporting.tuning_elsewhere,
        reporting.phases_timed,
        reporting.charges_add_up,
        reporting.final_timed,
        reporting.both_accounts,
        reporting.fields_recorded,
        reporting.container_known,
        reporting.accounting_declared,
        reporting.protocol_registered,
        reporting.start_known,
        reporting.intervals_named,
        reporting.nothing_tested,
        reporting.tests_corrected,
        reporting.tests_powered,
        reporting.reproduced,
        reporting.benchmarks_at_least,
        reporting.reports_regenerate,
    )
}
