"""Tabulate the experimental setup: protocol, tracks, methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.core.canonical import Json, canonical_json, sha256_text
from harness.core.records import Table
from reports.cost import tuning_text, tuning_unit
from reports.frame import Frame, TrackFrame
from reports.wording import ABSENT, amount, budget_unit, tabular, trains_hull

_SHORT_LIST = 12

_ACCOUNTING = {
    "architecture-identification": "architecture identification (Lindauer and Hutter, 2020, Definition 7): "
    "only what identifies the architecture is charged; the incumbent is shown under the final recipe",
    "automl": "AutoML (Lindauer and Hutter, 2020, Definition 8): training of the final network is charged as well",
}


def study_table(frame: Frame) -> Table:
    """Return what holds for the whole study: names, hashes, accounting, analysis plan, segments."""
    protocol: Mapping[str, Any] = frame.study.protocol
    plan = protocol["analysis"]
    correction = plan["correction"] if plan["correction"] != "none" else "no"
    rows = (
        ("protocol", f"{protocol['protocol']} {protocol['version']}"),
        ("protocol hash", frame.study.protocol_hash),
        ("journals", f"{len(frame.journals):,} runs planned; SHA-256 over their journals {journals_hash(frame)}"),
        ("accounting", _ACCOUNTING[protocol["accounting"]]),
        ("primary endpoint", plan["primary"]),
        ("tests", f"{plan['tests']}, {correction} correction, alpha {plan['alpha']:g}"),
        ("equivalence margin", f"{plan['equivalence_margin']:g}"),
        ("segments", _segments(frame)),
        ("removed rows", "; ".join(f"{row['name']} ({row['reason']})" for row in protocol["removed"]) or "none"),
    )
    data = tuple({"item": name, "value": value} for name, value in rows)
    return Table("study", "Study", ("item", "value"), rows, data=data)


def journals_hash(frame: Frame) -> str:
    """Return one hash over the journals of all runs, in plan order; it names the very records behind a report."""
    return sha256_text("\n".join(f"{run} {journal}" for run, journal in frame.journals))


def _segments(frame: Frame) -> str:
    segments = frame.study.segments
    drifted = sorted({str(field) for segment in segments for field in _drift(segment)})
    begun = ", ".join(str(segment.get("started", "time not recorded")) for segment in segments[:_SHORT_LIST])
    more = f", and {len(segments) - _SHORT_LIST} more" if len(segments) > _SHORT_LIST else ""
    drift = f"changed on the way: {', '.join(drifted)}" if drifted else "nothing changed on the way"
    return f"{len(segments)} ({begun}{more}); {drift}" if segments else "not recorded"


def _drift(segment: Mapping[str, Json]) -> Sequence[Any]:
    drift = segment.get("drift")
    return drift if isinstance(drift, list) else list(drift) if isinstance(drift, dict) else []


def tracks_table(frame: Frame) -> Table:
    """Return one column per track: benchmark, data, splits, fidelities, budget, seeds."""
    facts = [_track_facts(track) for track in frame.tracks]
    rows = tuple((name, *(fact[name] for fact in facts)) for name in facts[0])
    data: tuple[Mapping[str, Json], ...] = tuple(
        {"track": track.id, "item": name, "value": value}
        for track, fact in zip(frame.tracks, facts, strict=True)
        for name, value in fact.items()
    )
    return Table("tracks", "Tracks", ("item", *(track.id for track in frame.tracks)), rows, data=data)


def _track_facts(track: TrackFrame) -> dict[str, str]:
    plan, manifest = track.plan, track.record.manifest
    budget, fidelity, splits = plan["budget"], plan["fidelity"], plan["splits"]
    return {
        "state": f"skipped: {track.record.skipped}" if track.record.skipped else "run",
        "purpose": plan["purpose"],
        "benchmark": f"{plan['benchmark']['name']} ({manifest.get('kind', 'kind not recorded')})",
        "benchmark options": canonical_json(plan["benchmark"]["options"]),
        "fingerprint": track.record.fingerprint or ABSENT,
        "data, SHA-256": _data_files(manifest.get("data")),
        "trained on": splits["train"],
        "search sees": splits["search"],
        "sealed": splits["final"],
        "objective": f"{plan['objective']['metric']}, {plan['objective']['direction']}",
        "final metrics": "; ".join(plan["final"]["metrics"]),
        "search fidelity": f"{fidelity['search']} epochs",
        "final fidelity": f"{fidelity['final']} epochs",
        "budget per run": f"{amount(float(budget['limit']))} {budget_unit(track)}",
        "costs": "simulated: looked up in the benchmark table" if tabular(track) else "charged as they were trained",
        "overrun": f"{budget['overrun']} the trial that crosses the budget",
        "repeated work": budget["repeats"],
        "workers": _workers(plan),
        "selection": plan["selection"]["rule"],
        "replicates": str(plan["replicates"]),
        "seeds": _seeds(plan),
    }


def _workers(plan: Mapping[str, Any]) -> str:
    if plan["workers"] == 1:
        return "1"
    kind = "simulated" if plan.get("schedule", "virtual") == "virtual" else "side by side; trials count as they end"
    return f"{plan['workers']} ({kind})"


def _seeds(plan: Mapping[str, Any]) -> str:
    seeds, final = plan["seeds"], ", ".join(str(seed) for seed in plan["final"]["seeds"])
    final += " of each network on the hull" if trains_hull(plan) else ""
    listed = seeds["list"]
    if listed is None:
        search = f"0 to {plan['replicates'] - 1}"
    else:
        shown = ", ".join(str(seed) for seed in listed[:_SHORT_LIST])
        search = shown + (f", … ({len(listed)} in the protocol)" if len(listed) > _SHORT_LIST else "")
    return f"search {search}; final {final}; root {seeds['root']}"


def _data_files(data: Json) -> str:
    """Return 'file sha256' for each data file, however the manifest nests them."""
    found = [f"{name} {digest}" for name, digest in _digests(data, "")]
    return "; ".join(found) or "none recorded"


def _digests(data: Json, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        own = str(data.get("file") or data.get("name") or name)
        for key, value in data.items():
            yield from _digests(value, own if key == "sha256" else str(key))
    elif isinstance(data, list):
        for value in data:
            yield from _digests(value, name)
    elif isinstance(data, str) and len(data) == len(sha256_text("")) and set(data) <= set("0123456789abcdef"):
        yield name, data


def methods_table(frame: Frame) -> Table:
    """Return every row of the comparison with its resolved options, where they come from, and what that took."""
    tuning = {entry["method"]: entry for entry in _list(frame, "tuning")}
    tuned = frame.study.tuning
    seen = {cell.key[1:]: cell for track in frame.tracks for cell in track.cells}
    rows = tuple(
        (
            cell.label,
            cell.spec.implementation,
            canonical_json(dict(cell.spec.options)),
            _origin(tuning.get(cell.key[1]), tuned.get(cell.key[1])),
            tuning_text(frame, cell.key[1]),
            _real_tuning(tuned.get(cell.key[1])),
        )
        for cell in seen.values()
    )
    origin = ("origin of the options", "tuning, charged", "tuning, real s")
    columns = ("method", "implementation", "options, resolved", *origin)
    data: tuple[Mapping[str, Json], ...] = tuple(dict(zip(columns, row, strict=True)) for row in rows)
    note = (
        "Origin: as the protocol declares it. Tuned: every setting was run on another benchmark than the reported "
        "ones, and the one with the best mean search objective is used here; no test metric was asked for."
    )
    return Table("methods", "Methods and the origin of their options", columns, rows, note if tuned else "", data)


def tuning_table(frame: Frame) -> Table | None:
    """Return every setting that was tried for every tuned row; None where this study tuned nothing."""
    data = tuple(_setting(row, ledger, entry) for row, ledger in _ledgers(frame) for entry in ledger["settings"])
    if not data:
        return None
    return Table(
        name="tuning",
        title="Tuning: the settings that were tried",
        columns=("method", "setting", "tuned on", "objective", "n", "mean objective", "charged", "unit", "chosen"),
        rows=tuple(tuple(_setting_text(value) for value in row.values()) for row in data),
        note=(
            "Mean over the tuning runs of the objective that the recommended architecture had in the search. Chosen: "
            "the best mean; of equal means the first. A dash: a run ended without such an architecture, so the setting "
            "was no candidate. These means choose; they are no result."
        ),
        data=data,
    )


def _ledgers(frame: Frame) -> list[tuple[str, Mapping[str, Any]]]:
    return list(frame.study.tuning.items())


def _setting(row: str, ledger: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Json]:
    benchmark = ledger["benchmark"]
    return {
        "method": row,
        "setting": entry["setting"],
        "tuned_on": f"{benchmark['name']} {canonical_json(benchmark['options'])}",
        "objective": f"{ledger['objective']}, {ledger['direction']}",
        "n": len(entry["values"]),
        "mean_objective": entry["mean"],
        "charged": entry["charged"],
        "unit": tuning_unit(ledger),
        "chosen": entry["setting"] == ledger["chosen"],
    }


def _setting_text(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return f"{value:,.4g}" if value < 1000 else amount(value)  # noqa: PLR2004 - digits shown
    return ABSENT if value is None else str(value)


def _list(frame: Frame, key: str) -> list[Mapping[str, Any]]:
    entries: Any = frame.study.protocol[key]
    return list(entries)


def _real_tuning(ledger: Mapping[str, Any] | None) -> str:
    return ABSENT if ledger is None else amount(float(ledger["seconds"]))


def _origin(tuning: Mapping[str, Any] | None, ledger: Mapping[str, Any] | None) -> str:
    if tuning is None:
        return "not declared"
    if ledger is not None:
        benchmark = ledger["benchmark"]
        where = f"{benchmark['name']} {canonical_json(benchmark['options'])}"
        return f"tuned on {where}: {len(ledger['settings'])} settings x {ledger['replicates']} runs"
    if tuning["source"] == "tuned":
        return "to be tuned: the tuning is not done yet"
    return f"{tuning['source']}{': ' + tuning['citation'] if tuning['citation'] else ''}"
