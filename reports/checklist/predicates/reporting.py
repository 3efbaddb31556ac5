"""Look at what was reported: tuning, cost, setup, registration, statistics, reproduction, the reports themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import comb
from typing import Any

from harness.core.canonical import Json, canonical_json, content_hash
from harness.core.grounds import shared_ground
from reports.checklist.facts import NAME, Facts, Run
from reports.checklist.model import Finding
from reports.checklist.wording import NO_RUN, NO_TRACK, amount, counted, first, short
from reports.render import INDEX, render


def tuning_declared(facts: Facts) -> Finding:
    """Hold if every row that has options says where their values come from, and cites published and chosen ones."""
    entries = {entry["method"]: entry for entry in facts.protocol["tuning"]}
    rows = [row["id"] or row["name"] for row in facts.protocol["methods"] if row["options"]]
    evidence = facts.in_protocol("/tuning")
    lacking = [row for row in rows if row not in entries]
    if lacking:
        return Finding(False, f"no tuning record of {first(lacking)}", list(lacking), evidence)
    cited = ("published", "chosen")
    bare = [row for row in rows if entries[row]["source"] in cited and not entries[row]["citation"].strip()]
    if bare:
        return Finding(False, f"published or chosen values without a citation: {first(bare)}", list(bare), evidence)
    sources = {row: str(entries[row]["source"]) for row in rows}
    text = first(f"{row} {source}" for row, source in sources.items()) or "no row has options"
    return Finding(True, text, dict(sources), evidence)


def tuning_elsewhere(facts: Facts) -> Finding:
    """Hold if no row was tuned on a reported benchmark, or without benchmark, budget and space, or off the record."""
    tuned = [entry for entry in facts.protocol["tuning"] if entry["source"] == "tuned"]
    evidence = facts.in_protocol("/tuning")
    bare = [entry["method"] for entry in tuned if not (entry["benchmark"] and entry["budget"] and entry["space"])]
    if bare:
        return Finding(False, f"tuned without benchmark, budget and space: {first(bare)}", list(bare), evidence)
    same = [entry["method"] for entry in tuned if _on_reported(facts, entry)]
    if same:
        return Finding(False, f"tuned on a reported benchmark: {first(same)}", list(same), evidence)
    ledgers = {entry["method"]: facts.study.tuning.get(entry["method"]) for entry in tuned}
    off = [row for row, ledger in ledgers.items() if ledger is None]
    if off:
        # A budget that is declared is not yet a budget that was kept.
        return Finding(None, f"the tuning runs of {first(off)} are not on record", list(off), evidence)
    if not tuned:
        return Finding(True, "no row was tuned", 0, evidence)
    texts = [_tuned(row, ledger) for row, ledger in ledgers.items() if ledger is not None]
    charged = {row: ledger["charged"] for row, ledger in ledgers.items() if ledger is not None}
    return Finding(True, f"tuned elsewhere: {first(texts)}", charged, (*evidence, facts.at("study.json", "/tuning")))


def _on_reported(facts: Facts, entry: Mapping[str, Any]) -> bool:
    row = next(row for row in facts.protocol["methods"] if entry["method"] == (row["id"] or row["name"]))
    plans = [plan for key, plan in facts.plans.items() if row["tracks"] is None or key in row["tracks"]]
    return any(shared_ground(entry["benchmark"], plan) for plan in plans)


def _tuned(row: str, ledger: Mapping[str, Any]) -> str:
    size = f"{len(ledger['settings'])} settings x {ledger['replicates']} runs on {ledger['benchmark']['name']}"
    unit = str(ledger["unit"]).replace("_", " ")
    return f"{row}, {size}, {ledger['charged']:,.0f} {unit} charged, {ledger['seconds']:,.1f} real seconds"


def phases_timed(facts: Facts, *, phases: Sequence[str]) -> Finding:
    """Hold if every complete run recorded real seconds for each of these phases."""
    if not facts.done:
        return Finding(None, NO_RUN)
    bare = [
        run for run in facts.done if any(phase not in run.seconds for phase in phases) or not any(run.seconds.values())
    ]
    if bare:
        text = f"{counted(bare, 'run')} without the seconds of {', '.join(phases)}, for instance {bare[0].spec.id}"
        return Finding(None, text, len(bare), facts.in_runs(bare, "timings.jsonl"))
    text = f"real seconds of {', '.join(phases)} in {counted(facts.done, 'run')}"
    return Finding(True, text, len(facts.done), facts.in_runs(facts.done, "timings.jsonl"))


def charges_add_up(facts: Facts) -> Finding:
    """Hold if in every complete run the prices of the trials add up to what was spent."""
    if not facts.done:
        return Finding(None, NO_RUN)
    wrong = [run for run in facts.done if not run.passage.adds_up]
    if wrong:
        text = f"the charges of {counted(wrong, 'run')} do not add up, for instance {wrong[0].spec.id}"
        return Finding(False, text, len(wrong), facts.in_runs(wrong))
    spent = {track: sum(run.passage.spent for run in facts.done if run.spec.track == track) for track in facts.opened}
    text = "; ".join(f"{track}: {total:,.0f} {facts.plans[track]['budget']['unit']}" for track, total in spent.items())
    return Finding(True, f"charged and adding up: {text}", dict(spent), facts.everything())


def final_timed(facts: Facts) -> Finding:
    """Hold if every complete run that trained a final network recorded the real seconds of that."""
    if not facts.done:
        return Finding(None, NO_RUN)
    trained = [run for run in facts.done if facts.study.tracks[run.spec.track].manifest.get("kind") == "training"]
    bare = [run for run in trained if "final" not in run.seconds]
    if bare:
        text = f"the seconds of the final training are not recorded in {counted(bare, 'run')}"
        return Finding(None, text, len(bare), facts.in_runs(bare, "timings.jsonl"))
    looked_up = len(facts.done) - len(trained)
    text = f"final training timed in {counted(trained, 'run')}, looked up in {looked_up:,}"
    return Finding(True, text, {"trained": len(trained), "looked_up": looked_up}, facts.everything())


def both_accounts(facts: Facts) -> Finding:
    """Hold if the spending of both accounting variants follows from the record, in the unit of each budget.

    Definition 7 is what the search spent; Definition 8 adds the training of the final network under each final seed:
    what the record says that it is charged, or for budgets in epochs what the protocol says.
    """
    if not facts.done:
        return Finding(None, NO_RUN)
    tracks = [track for track in facts.opened if any(run.spec.track == track for run in facts.done)]
    ended = {track: [run for run in facts.done if run.spec.track == track] for track in tracks}
    final = {track: [_final_price(run, facts.plans[track]) for run in ended[track]] for track in tracks}
    unknown = [f"{track} ({facts.plans[track]['budget']['unit']})" for track in tracks if None in final[track]]
    evidence = (*facts.in_protocol("/tracks"), *facts.everything())
    if unknown:
        return Finding(None, f"the cost of the final training is not recorded on {first(unknown)}", None, evidence)
    totals: dict[str, Json] = {}
    for track in tracks:
        searched = sum(run.passage.spent for run in ended[track])
        totals[track] = {"search": searched, "with_final": searched + sum(price or 0.0 for price in final[track])}
    means = {track: sum(price or 0.0 for price in final[track]) / len(ended[track]) for track in tracks}
    text = "; ".join(f"{track}: {means[track]:,.6g} {facts.plans[track]['budget']['unit']}" for track in tracks)
    return Finding(True, f"the final training of a run costs, on {text}", totals, evidence)


def _final_price(run: Run, plan: Mapping[str, Any]) -> float | None:
    unit = plan["budget"]["unit"]
    if run.final_cost is not None and unit != "evaluations":
        recorded: float | None = getattr(run.final_cost, unit)
        return recorded
    prices = {"epochs": float(plan["fidelity"]["final"]), "evaluations": 1.0}
    price = prices.get(unit)
    return None if price is None else price * len(plan["final"]["seeds"]) * run.finalists


def fields_recorded(facts: Facts, *, environment: Sequence[str], track: Sequence[str]) -> Finding:
    """Hold if every environment in use and every track of the protocol has these fields, none of them null."""
    names = facts.environments()
    if not names:
        return Finding(None, NO_RUN)
    wanted = [(f"environment {name[:12]}", facts.environment(name), path) for name in names for path in environment]
    wanted += [(f"track {key}", plan, path) for key, plan in facts.plans.items() for path in track]
    missing = [f"{where}: {path}" for where, record, path in wanted if _leaf(record, path) in (None, "", [])]
    evidence = (*facts.in_environments(), *facts.in_protocol("/tracks"))
    if missing:
        text = f"{len(missing)} of {len(wanted)} required fields are missing: {first(missing)}"
        return Finding(False, text, list(missing), evidence)
    return Finding(True, f"{len(wanted)} of {len(wanted)} required fields", len(wanted), evidence)


def _leaf(record: Mapping[str, Any], path: str) -> Any:
    value: Any = record
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def container_known(facts: Facts) -> Finding:
    """Hold if every environment in use records the digest of a container image."""
    names = facts.environments()
    digests = [_leaf(facts.environment(name), "software.image") for name in names]
    if not names or not all(digests):
        return Finding(None, "no digest of a container image is recorded; the list of all distributions is")
    return Finding(True, f"image {first(digests)}", list(digests), facts.in_environments("/software/image"))


def accounting_declared(facts: Facts) -> Finding:
    """Hold if the protocol says which accounting variant of Lindauer and Hutter is primary."""
    variant = facts.protocol.get("accounting")
    names = {"architecture-identification": "Definition 7", "automl": "Definition 8"}
    evidence = facts.in_protocol("/accounting")
    if variant not in names:
        return Finding(False, "no accounting variant is declared", None, evidence)
    return Finding(True, f"{variant} ({names[variant]})", variant, evidence)


def protocol_registered(facts: Facts) -> Finding:
    """Hold if study.json, written before the first run, holds the hash of the protocol."""
    content = facts.content("study.json")
    written = content.get("protocol_hash") if isinstance(content, dict) else None
    evidence = (facts.at("study.json", "/protocol_hash"), facts.at("protocol.json"))
    if written is None:
        return Finding(None, "study.json holds no hash of the protocol", None, evidence)
    if written != content_hash(dict(facts.protocol)):
        return Finding(False, "the protocol is not the one that the study began with", written, evidence)
    return Finding(True, f"protocol {short(str(written))} with its seed list and analysis plan", written, evidence)


def start_known(facts: Facts) -> Finding:
    """Hold if the first segment has a time, and every complete run began in the environment of a segment."""
    segments = facts.study.segments
    evidence = (facts.at("segments.jsonl"),)
    started = _time(segments[0].get("started")) if segments else None
    if started is None:
        return Finding(None, "the time of the first start is not recorded", None, evidence)
    known = {segment.get("environment") for segment in segments}
    strange = [run for run in facts.done if run.manifest.get("environment") not in known]
    if strange:
        text = f"{counted(strange, 'run')} made outside the recorded segments"
        return Finding(False, text, len(strange), facts.in_runs(strange, "manifest.json", "/environment"))
    return Finding(True, f"fixed before the first start on {started}", started, evidence)


def _time(text: Any) -> str | None:
    try:
        datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return str(text)


def intervals_named(facts: Facts) -> Finding:
    """Hold if every mean of a method in the final tables has n and the method of its interval beside it."""
    tables = facts.tables("final-")
    rows = [(table, row) for table in tables for row in table.data if row.get("kind") == "method" and row.get("n")]
    if not rows:
        return Finding(None, "no report of this study has a final table with results")
    bare = [
        f"{row['row']} ({row['metric']})"
        for _, row in rows
        if row.get("low") != row.get("low") or row.get("low") is None
    ]
    evidence = tuple(facts.at(f"report/{table.name}.csv") for table in tables)
    if bare:
        return Finding(False, f"a mean without an interval: {first(bare)}", list(bare), evidence)
    methods = sorted({str(row["interval"]) for _, row in rows})
    return Finding(True, f"{counted(rows, 'mean')}, intervals by {first(methods)}", list(methods), evidence)


def nothing_tested(facts: Facts) -> Finding:
    """Hold if the protocol tests nothing: no test is planned, or every track is descriptive."""
    descriptive = all(plan["purpose"] == "descriptive" for plan in facts.plans.values())
    none = facts.protocol["analysis"]["tests"] == "none"
    evidence = facts.in_protocol("/analysis/tests")
    return Finding(
        none or descriptive, "nothing is tested" if none or descriptive else "tests are planned", None, evidence
    )


def tests_corrected(facts: Facts) -> Finding:
    """Hold if the tests of a track with more than one comparison are corrected."""
    correction = facts.protocol["analysis"]["correction"]
    families = {track: comb(len(facts.base(track)), 2) for track in _tested(facts)}
    several = [track for track, family in families.items() if family > 1]
    evidence = facts.in_protocol("/analysis/correction")
    if several and correction == "none":
        return Finding(False, f"several comparisons and no correction on {first(several)}", dict(families), evidence)
    listed = ", ".join(f"{track} {amount(family, 'comparison')}" for track, family in families.items())
    return Finding(True, f"{correction} correction; {listed}", dict(families), evidence)


def _tested(facts: Facts) -> list[str]:
    return [track for track in facts.opened if facts.plans[track]["purpose"] != "descriptive"]


def tests_powered(facts: Facts) -> Finding:
    """Hold if on every tested track the smallest p-value that the runs can reach stays below alpha after correction."""
    plan = facts.protocol["analysis"]
    if not facts.done:
        return Finding(None, NO_RUN)
    weak = []
    for track in _tested(facts):
        sizes = sorted(len(runs) for runs in facts.base(track).values())
        if len(sizes) > 1:
            family = comb(len(sizes), 2) if plan["correction"] == "holm" else 1
            smallest = 2 / (comb(sizes[0] + sizes[1], sizes[0]) if plan["tests"] == "mann-whitney" else 2 ** sizes[0])
            weak += [f"{track} (p at least {smallest:.2g} x {family})"] if smallest * family > plan["alpha"] else []
    evidence = facts.in_protocol("/analysis")
    if weak:
        return Finding(False, f"no difference could ever be significant: {first(weak)}", list(weak), evidence)
    return Finding(True, f"{plan['tests']} can reach alpha {plan['alpha']:g} on every tested track", None, evidence)


def reproduced(facts: Facts) -> Finding:
    """Hold if at least one published figure was reproduced within the margin, and none came out different."""
    rows = [row for table in facts.tables("reproduction") for row in table.data]
    evidence = facts.in_protocol("/analysis/published")
    if not rows:
        return Finding(False, "no published figure is listed in the analysis plan", None, evidence)
    verdicts = [str(row.get("verdict", "")).partition(":")[0] for row in rows]
    counts = {word: verdicts.count(word) for word in dict.fromkeys(verdicts)}
    text = ", ".join(f"{count} {word}" for word, count in counts.items())
    ok = "equivalent" in counts and "different" not in counts
    return Finding(ok, f"of {counted(rows, 'published figure')}: {text}", dict(counts), evidence)


def benchmarks_at_least(facts: Facts, *, least: int) -> Finding:
    """Hold if complete runs stand on so many benchmarks: different splits of data, or different spaces."""
    used = [track for track in facts.opened if any(run.spec.track == track for run in facts.done)]
    if not used:
        return Finding(None, NO_RUN if facts.opened else NO_TRACK)
    found = {
        canonical_json([facts.study.tracks[track].manifest.get("space"), facts.plans[track]["splits"]])
        for track in used
    }
    spaces = {canonical_json(facts.study.tracks[track].manifest.get("space")) for track in used}
    text = f"{amount(len(found), 'benchmark')} over {amount(len(spaces), 'space')}"
    value: dict[str, Json] = {"benchmarks": len(found), "spaces": len(spaces)}
    return Finding(len(found) >= least, text, value, facts.in_tracks(used, "/manifest/space"))


def reports_regenerate(facts: Facts) -> Finding:
    """Hold if every other report of the study, made anew from the records, has the bytes that stand in its folder."""
    if not facts.documents:
        return Finding(None, "the protocol lists no other report")
    names = [str(name) for name in facts.protocol["reports"]]
    compared, differing = 0, []
    for position, name in enumerate(names):
        folder = f"report/{name}" if position else "report"
        if name == NAME:
            continue
        if f"{folder}/{INDEX}" not in facts.study.files:
            return Finding(None, f"{folder} holds no report yet")
        files = render(facts.documents[name])
        compared += len(files)
        differing += [
            f"{folder}/{file}" for file, content in files.items() if _differs(facts, f"{folder}/{file}", content)
        ]
    evidence = (facts.at(f"report/{INDEX}", "/files"),)
    if differing:
        return Finding(False, f"not what the records give: {first(differing)}", list(differing), evidence)
    return Finding(True, f"{amount(compared, 'file')} made again, equal to the byte", compared, evidence)


def _differs(facts: Facts, path: str, content: bytes) -> bool:
    return facts.study.files.get(path) != content
