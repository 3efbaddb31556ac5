"""Plant corruptions in a sound record: each must be found, under the rule that it breaks.

In the second list the forger has recomputed every hash, chain and index, so that only the meaning gives it away.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.canonical import canonical_json
from harness.core.codec import work_from_json
from harness.core.derivation import work_seed
from harness.core.seeds import SeedTree
from harness.testing.toy import TEST, VALID
from harness.verify import RULES, verify
from harness.verify.rules import OF_FOLDERS

Forgery = Callable[[Any], object]
HASHES = frozenset(
    {"journal-chain", "journal-hash", "protocol-hash", "environment-hash", "track-fingerprint", "report-index"}
)


def trials(forger: Any, **run: Any) -> Path:
    return Path(forger.run(**run) / "trials.jsonl")


def set_in(entries: list[Any], index: int, value: Any, *keys: str) -> None:
    target = entries[index]
    for key in keys[:-1]:
        target = target[key]
    target[keys[-1]] = value


def put(path: Callable[[Any], Path], index: int, value: Any, *keys: str) -> Forgery:
    """Set one value in one line of a journal."""
    return lambda forger: forger.change(path(forger), lambda lines: set_in(lines, index, value, *keys))


def done(**values: Any) -> Forgery:
    """Set values of done.json."""
    return lambda forger: forger.edit(forger.run() / "done.json", lambda data: data.update(values))


def manifest(*keys: str, value: Any) -> Forgery:
    """Set a value of manifest.json."""
    return lambda forger: forger.edit(forger.run() / "manifest.json", lambda data: set_in([data], 0, value, *keys))


def protocol(change: Callable[[dict[str, Any]], object]) -> Forgery:
    return lambda forger: forger.edit("protocol.json", change)


def study(change: Callable[[dict[str, Any]], object]) -> Forgery:
    return lambda forger: forger.edit("study.json", lambda data: change(data["tracks"]["tiny"]))


def sealed(forger: Any, **run: Any) -> Path:
    return Path(forger.run(**run) / "sealed.jsonl")


def grown_finals(forger: Any) -> Path:
    return Path(forger.run("petridish", track="growing") / "final.jsonl")


def text(old: str, new: str, line: int = 1) -> Forgery:
    """Change a line of trials.jsonl as text."""
    return lambda forger: forger.raw(
        trials(forger), lambda lines: lines.__setitem__(line, lines[line].replace(old, new, 1))
    )


def raw(change: Callable[[list[str]], object]) -> Forgery:
    return lambda forger: forger.raw(trials(forger), change)


def swap(lines: list[Any]) -> None:
    lines[1], lines[2] = lines[2], lines[1]


def torn(forger: Any) -> None:
    path = trials(forger)
    path.write_bytes(path.read_bytes()[:-7])


def environment(forger: Any) -> Path:
    return Path(next((forger.root / "environments").iterdir()))


def other_folder(forger: Any) -> None:
    forger.root = forger.root.rename(forger.root.with_name("tiny@1.0.0-01234567"))


def tuned(plain: dict[str, Any]) -> dict[str, Any]:
    """A tuning entry that looks at what is reported."""
    track = plain["tracks"][0]
    where = {key: track[key] for key in ("benchmark", "fidelity", "objective", "budget")}
    space = {"population": [4, 8]}
    entry = {"method": "regularized_evolution", "source": "tuned", "citation": "", "space": space, "replicates": 1}
    return {**entry, **where}


LEDGER = {
    "benchmark": {"name": "toy", "options": {}, "fingerprint": None},
    "fingerprint": "0" * 64,
    "manifest": {},
    "objective": VALID,
    "direction": "maximize",
    "unit": "epochs",
    "limit": 1.0,
    "replicates": 1,
    "settings": [],
    "chosen": "",
    "options": {"draws": "with-replacement"},
    "charged": 0.0,
    "seconds": 0.0,
}

PLAIN: dict[str, tuple[str, Forgery]] = {
    "one flipped digit": ("journal-chain", text('"spent":18', '"spent":19')),
    "one flipped digit in the last line": ("journal-hash", text('"counted":false', '"counted":true ', -1)),
    "a dropped line": ("journal-chain", raw(lambda lines: lines.pop(3))),
    "two lines swapped": ("journal-chain", raw(swap)),
    "a torn last line": ("file-readable", torn),
    "a line that is no UTF-8": ("file-readable", lambda f: trials(f).write_bytes(b"\xff" + trials(f).read_bytes())),
    "a journal deleted": ("file-readable", lambda f: (f.run() / "final.jsonl").unlink()),
    "spaces in a line": ("line-form", text(",", ", ")),
    "NaN for a value": ("value-finite", text('"spent":18.0', '"spent":NaN')),
    "a manifest that is no JSON": ("file-readable", lambda f: (f.run() / "manifest.json").write_text("{")),
    "a key that stands twice": (
        "file-readable",
        lambda f: (f.run() / "done.json").write_text(
            (f.run() / "done.json").read_text().replace("{", '{"spent": 1,', 1)
        ),
    ),
    "another hash in done.json": (
        "journal-hash",
        lambda f: f.edit(f.run() / "done.json", lambda d: d["files"].clear()),
    ),
    "another budget in the protocol": (
        "protocol-hash",
        protocol(lambda p: set_in(p["tracks"], 0, 1e6, "budget", "limit")),
    ),
    "another processor": (
        "environment-hash",
        lambda f: f.edit(environment(f), lambda e: set_in([e], 0, "Z80", "hardware", "cpu", "model")),
    ),
    "another table": ("track-fingerprint", study(lambda track: track["manifest"].update(noise=0.0))),
    "a table in the report": (
        "report-index",
        lambda f: next((f.root / "report").glob("*.csv")).write_text("a,b\n1,2\n"),
    ),
    "a report file nobody lists": ("report-index", lambda f: (f.root / "report" / "best.csv").write_text("1\n")),
    "a folder that a kill left": ("nothing-else", lambda f: shutil.copytree(f.run(), f.run().with_name(".r0000.part"))),
    "a file of notes": ("nothing-else", lambda f: (f.run() / "notes.txt").write_text("better run\n")),
    "a folder named after another protocol": ("folder-name", other_folder),
    "seconds that are negative": (
        "timings",
        lambda f: f.raw(f.run() / "timings.jsonl", lambda lines: lines.__setitem__(1, "[0,-1.0,0.1,0.1]\n")),
    ),
    "seconds that are absent": ("timings", lambda f: f.raw(f.run() / "timings.jsonl", lambda lines: lines.pop(1))),
    "an environment deleted": ("environment-known", lambda f: environment(f).unlink()),
}


# Forgeries of meaning.


def as_replicate(forger: Any, *, reseeded: bool) -> None:
    """Pass the first replicate off as the second."""
    first, second = forger.run(), forger.run(number=1)
    honest = forger.read(second / "manifest.json")
    shutil.rmtree(second)
    shutil.copytree(first, second)
    forger.edit(second / "manifest.json", lambda data: data.update(spec=honest["spec"], seeds=honest["seeds"]))
    if reseeded:
        seeds = SeedTree(tuple(honest["seeds"]["replicate"]))
        for entry in (entries := forger.entries(second / "trials.jsonl")):
            entry["seed"] = work_seed(seeds, work_from_json(entry["work"]))
        forger.put(second / "trials.jsonl", entries)


def as_other_method(forger: Any) -> None:
    """Pass a run of random search off as one of regularised evolution."""
    for name in ("trials.jsonl", "sealed.jsonl", "final.jsonl", "timings.jsonl", "done.json"):
        shutil.copyfile(forger.run() / name, forger.run("regularized_evolution") / name)


def extra_run(forger: Any) -> None:
    shutil.copytree(forger.run(number=1), forger.run(number=2))
    spec = {"replicate": 2, "seed": 2}
    forger.edit(forger.run(number=2) / "manifest.json", lambda data: data["spec"].update(spec))


def skipped(forger: Any) -> None:
    shutil.rmtree(forger.run())
    forger.run().mkdir()
    (forger.run() / "skipped.json").write_text('{"reason": "no GPU", "schema": 1}\n')


def drop_trial(forger: Any) -> None:
    """Take a trial out as if it had never been, and settle the account."""
    for name in ("trials.jsonl", "sealed.jsonl"):
        forger.change(forger.run() / name, lambda lines: lines.pop(4))
    forger.settle(forger.run())


def drop_trial_only(forger: Any) -> None:
    for name in ("trials.jsonl", "sealed.jsonl"):
        forger.change(forger.run() / name, lambda lines: lines.pop(4))
    forger.edit(forger.run() / "done.json", lambda data: data.update(trials=data["trials"] - 1))


def cheaper(forger: Any) -> None:
    """Charge a training less than it cost, and settle the account."""
    forger.change(trials(forger), lambda lines: set_in(lines, 2, 5, "result", "cost", "epochs"))
    forger.settle(forger.run())


def count_discarded(forger: Any) -> None:
    forger.change(trials(forger), lambda lines: set_in(lines, -1, True, "counted"))
    forger.settle(forger.run())


def one_more(forger: Any) -> None:
    """Append a trial after the end of the budget, the best that another method found."""
    other = forger.entries(trials(forger, method="regularized_evolution"))
    known = {entry["work"]["arch"] for entry in forger.entries(trials(forger))}
    position, better = next((n, e) for n, e in enumerate(other) if e["work"]["arch"] not in known)
    hidden = forger.entries(sealed(forger, method="regularized_evolution"))[position]
    forger.change(trials(forger), lambda lines: lines.append({**better, "recommended": lines[-1]["recommended"]}))
    forger.change(sealed(forger), lambda lines: lines.append(hidden))
    forger.settle(forger.run())


def shared(forger: Any, first: Path, second: Path) -> str:
    """Return an architecture that two runs evaluated."""
    one, two = ({entry["work"]["arch"] for entry in forger.entries(path)} for path in (first, second))
    return min(one & two)


def better_value(forger: Any) -> None:
    """Raise a validation accuracy that another run of the same replicate measured too."""
    mine, theirs = (trials(forger, method="regularized_evolution", variant=v) for v in ("base", "kill=worst"))
    arch = shared(forger, mine, theirs)

    def raise_it(entries: list[Any]) -> None:
        for entry in entries:
            if entry["work"]["arch"] == arch:
                entry["result"]["value"] += 0.5
                entry["result"]["metrics"][VALID] += 0.5
                entry["result"]["curve"][-1] += 0.5

    forger.change(mine, raise_it)


def better_test(forger: Any) -> None:
    """Raise the test accuracy of the reported architecture, in both files that hold it."""
    arch = forger.entries(forger.run() / "final.jsonl")[0]["arch"]
    works = forger.entries(trials(forger))

    def raise_it(entries: list[Any]) -> None:
        for entry, trial in zip(entries, works, strict=True):
            if trial["work"]["arch"] == arch:
                entry["metrics"][TEST] = 99.5

    forger.change(sealed(forger), raise_it)
    forger.change(forger.run() / "final.jsonl", lambda lines: set_in(lines, 0, 99.5, "metrics", TEST))


def best_by_test(forger: Any, run: Path) -> tuple[str, float]:
    """Return the architecture with the best test accuracy that a run has measured within its budget."""
    works = forger.entries(run / "trials.jsonl")
    hidden = forger.entries(run / "sealed.jsonl")
    measured = [
        (line["metrics"][TEST], work["work"]["arch"])
        for line, work in zip(hidden, works, strict=True)
        if work["counted"] and line["metrics"]
    ]
    value, arch = max(measured)
    return arch, value


def pick_by_test(forger: Any) -> None:
    """Report the architecture with the best test accuracy instead of the recommended one."""
    runs = [path.parent for path in sorted(forger.root.glob("runs/*/*/*/*/done.json"))]
    run = next(r for r in runs if best_by_test(forger, r)[0] != forger.read(r / "done.json")["recommended"])
    arch, value = best_by_test(forger, run)
    forger.edit(run / "done.json", lambda data: data.update(recommended=arch))
    forger.put(run / "final.jsonl", [{"arch": arch, "seed": 0, "metrics": {TEST: value}}])


def cheaper_seconds(forger: Any) -> None:
    """Charge a kept study fewer seconds for work that another run did as well."""
    mine, theirs = (
        trials(forger, track="keep", method="regularized_evolution", variant=v) for v in ("base", "kill=worst")
    )
    arch = shared(forger, mine, theirs)

    def cut(entries: list[Any]) -> None:
        for entry in entries:
            if entry["work"]["arch"] == arch:
                entry["result"]["cost"]["train_seconds"] /= 2

    forger.change(mine, cut)


def failure_with_test(forger: Any) -> None:
    run = forger.run(track="keep")
    index = next(n for n, e in enumerate(forger.entries(run / "trials.jsonl")) if "failure" in e["result"])
    forger.change(run / "sealed.jsonl", lambda lines: set_in(lines, index, {TEST: 90.0}, "metrics"))


def free_epochs(forger: Any) -> None:
    """Let a training go on from epochs that were never paid for."""

    def go_on(entries: list[Any]) -> None:
        entry = entries[3]
        entry["work"]["start"] = 3
        entry["result"]["cost"] = {name: value / 9 * 6 for name, value in entry["result"]["cost"].items()}
        entry["result"]["cost"]["epochs"] = 6
        entry["result"]["curve"] = entry["result"]["curve"][3:]

    forger.change(trials(forger), go_on)
    forger.settle(forger.run())


GROWING = {"method": "petridish", "track": "growing"}


def of_kind(kind: str, change: Callable[[Any], object], skip: int = 0) -> Forgery:
    """Change a trial of this kind in a search that grows, and the seed that its work derives."""

    def forge(forger: Any) -> None:
        def alter(entries: list[Any]) -> None:
            chosen = [entry for entry in entries if entry["work"]["kind"] == kind][skip]
            change(chosen)
            chosen["seed"] = work_seed(
                SeedTree(("tiny", "0", "growing", "replicate", "0")), work_from_json(chosen["work"])
            )

        forger.change(trials(forger, **GROWING), alter)
        forger.settle(forger.run(**GROWING))

    return forge


def from_nowhere(entry: Any) -> None:
    """Let a network go on from a founder that its run never trained."""
    entry["work"]["after"]["arch"] = "ddddd"


def cheaper_phase(entry: Any) -> None:
    entry["result"]["cost"]["epochs"] = 4


def without_a_score(entry: Any) -> None:
    del entry["result"]["scores"][entry["work"]["moves"][0]]


def with_another_score(entry: Any) -> None:
    entry["result"]["scores"]["9:z"] = 1.0


def by_another_move(entry: Any) -> None:
    entry["work"]["moves"] = ["9:z"]


def better_child(entry: Any) -> None:
    entry["result"]["value"] += 0.25


def order_of_workers(forger: Any) -> None:
    for name in ("trials.jsonl", "sealed.jsonl"):
        forger.change(forger.run(track="keep") / name, swap)


def hidden_drift(forger: Any) -> None:
    """Change the processor of the second segment, and say nothing of drift."""
    path = environment(forger)
    record = forger.read(path)
    record["hardware"]["cpu"]["model"] = "another"
    (path.parent / "new.json").write_text(canonical_json(record))
    segments = forger.entries(forger.root / "segments.jsonl")
    segments[1]["environment"] = "new"
    forger.write_segments(segments)


def back_in_time(forger: Any) -> None:
    segments = forger.entries(forger.root / "segments.jsonl")
    segments[1]["started"] = "2001-01-01T00:00:00+00:00"
    forger.write_segments(segments)


def fewer_replicates(plain: dict[str, Any]) -> None:
    for track in plain["tracks"]:
        track["replicates"] = 1


def same_seed_twice(plain: dict[str, Any]) -> None:
    plain["tracks"][0]["seeds"]["list"] = [0, 0]


def with_low_quantiles(track: dict[str, Any]) -> None:
    """Add quantiles that end at the optimum, and lie too low for the mean."""
    best = track["references"]["optimum"][TEST]["value"]
    track["references"]["quantiles"] = {TEST: [0.0, 0.0, 0.0, best]}


CAREFUL: dict[str, tuple[str, Forgery]] = {
    "a missing run": ("plan-complete", lambda f: shutil.rmtree(f.run())),
    "a bad run called skipped": ("plan-complete", skipped),
    "a run that never ended": ("plan-complete", lambda f: (f.run() / "done.json").unlink()),
    "an extra run": ("plan-only", extra_run),
    "a replicate struck from the protocol": ("plan-only", protocol(fewer_replicates)),
    "a method struck from the protocol": ("plan-only", protocol(lambda plain: plain["methods"].pop(1))),
    "the same seed twice": ("protocol-valid", protocol(same_seed_twice)),
    "a setting struck from the protocol": ("protocol-valid", protocol(lambda plain: plain["tracks"][0].pop("workers"))),
    "another budget, hashes and all": (
        "end-reason",
        protocol(lambda plain: set_in(plain["tracks"], 0, 500.0, "budget", "limit")),
    ),
    "a copied replicate": ("trial-seed", lambda f: as_replicate(f, reseeded=False)),
    "a copied replicate with new seeds": ("replicates-distinct", lambda f: as_replicate(f, reseeded=True)),
    "a method's run from another method": ("courses-distinct", as_other_method),
    "another seed in a manifest": ("manifest-spec", manifest("spec", "seed", value=7)),
    "another option in a manifest": ("manifest-spec", manifest("spec", "options", value={"draws": "other"})),
    "another node of the seed tree": ("seed-tree", manifest("seeds", "replicate", value=["tiny", "1"])),
    "another seed of the method": ("seed-tree", manifest("seeds", "method", value=7)),
    "another seed of a trial": ("trial-seed", put(trials, 2, 7, "seed")),
    "two trials with each other's seeds": (
        "trial-seed",
        lambda f: f.change(
            trials(f), lambda lines: lines[0].update(seed=lines[1]["seed"]) or lines[1].update(seed=lines[0]["seed"])
        ),
    ),
    "a trial taken out": ("trial-order", drop_trial_only),
    "a trial taken out, account settled": ("end-reason", drop_trial),
    "workers in another order": ("trial-order", order_of_workers),
    "less spent than charged": ("budget-spent", put(trials, 2, 20.0, "spent")),
    "a training charged too little": ("cost-epochs", cheaper),
    "seconds charged too little": ("cost-constant", cheaper_seconds),
    "the discarded trial counted": ("budget-counted", count_discarded),
    "a counted trial discarded": ("budget-counted", put(trials, 5, False, "counted")),
    "a trial after the end": ("budget-counted", one_more),
    "another reason of the end": ("end-reason", done(reason="exhausted")),
    "another number of trials": ("end-numbers", done(trials=7)),
    "less spent in all": ("end-numbers", done(spent=9.0)),
    "the best by test reported": ("selection", pick_by_test),
    "another choice by validation": (
        "selection",
        lambda f: f.edit(f.run(track="keep") / "done.json", lambda data: data.update(recommended="aaaaa")),
    ),
    "a recommendation never evaluated": ("recommended-known", put(trials, 3, "zzzzz", "recommended")),
    "a recommendation taken back": ("recommended-known", put(trials, 3, None, "recommended")),
    "epochs nobody paid for": ("free-epochs", free_epochs),
    "a parent nobody paid for": ("free-epochs", of_kind("attach", from_nowhere)),
    "candidates attached for nothing": ("cost-epochs", of_kind("attach", cheaper_phase)),
    "a growth charged too little": ("cost-epochs", of_kind("grow", cheaper_phase)),
    "a candidate without a score": ("lineage-moves", of_kind("attach", without_a_score)),
    "a score of what was not attached": ("lineage-moves", of_kind("attach", with_another_score)),
    "a score of what was no attachment": (
        "lineage-moves",
        of_kind("evaluate", lambda entry: entry["result"].update(scores={"0:b": 1.0})),
    ),
    "a growth by what was not attached": ("lineage-moves", of_kind("grow", by_another_move)),
    "a child better than it was": ("objective-value", of_kind("grow", better_child)),
    "a test value in the search log": ("sealed-apart", put(trials, 2, 90.0, "result", "metrics", TEST)),
    "a test value under another name": (
        "sealed-apart",
        put(trials, 2, 90.0, "result", "metrics", "toy/test@3of9ep"),
    ),
    "a metric nobody else has": ("metric-known", put(trials, 2, 90.0, "result", "metrics", "toy/luck@9ep")),
    "a value that is not the objective": ("objective-value", put(trials, 2, 91.0, "result", "value")),
    "an objective that is absent": (
        "objective-value",
        lambda f: f.change(trials(f), lambda lines: lines[2]["result"]["metrics"].pop(VALID)),
    ),
    "a better validation accuracy": ("common-outcome", better_value),
    "an accuracy above 100 %": ("value-range", put(trials, 2, 142.0, "result", "metrics", VALID)),
    "a better test accuracy": ("optimum-bound", better_test),
    "a better final test accuracy": (
        "mean-constant",
        lambda f: f.change(f.run() / "final.jsonl", lambda lines: set_in(lines, 0, 84.0, "metrics", TEST)),
    ),
    "a sealed line taken out": ("sealed-match", lambda f: f.change(sealed(f), lambda lines: lines.pop())),
    "a bad test accuracy taken out": ("sealed-match", put(sealed, 3, {}, "metrics")),
    "test accuracies swapped": ("sealed-match", lambda f: f.change(sealed(f), swap)),
    "a sealed metric of another name": ("sealed-match", put(sealed, 3, {TEST: 84.0, "toy/other@9ep": 1.0}, "metrics")),
    "a test accuracy of a failure": ("sealed-match", failure_with_test),
    "another final architecture": ("final-match", put(lambda f: f.run() / "final.jsonl", 0, "aaaaa", "arch")),
    "a final seed too many": (
        "final-match",
        lambda f: f.change(f.run() / "final.jsonl", lambda lines: lines.append({**lines[0], "seed": 1})),
    ),
    "a network of the hull left out": (
        "final-match",
        lambda f: f.change(grown_finals(f), lambda lines: lines.__delitem__(slice(-2, None))),
    ),
    "the hull in another order": (
        "final-match",
        lambda f: f.change(grown_finals(f), lambda lines: lines.extend([lines.pop(2), lines.pop(2)])),
    ),
    "a network that is not on the hull": (
        "final-match",
        lambda f: f.change(grown_finals(f), lambda lines: lines.append({**lines[-1], "arch": "aaaaa"})),
    ),
    "a field too many in a line": ("line-form", put(trials, 2, "best so far", "comment")),
    "a cost that is text": ("line-form", put(trials, 2, "9", "result", "cost", "epochs")),
    "drift concealed": ("drift-recorded", hidden_drift),
    "a segment before the first": ("segments-time", back_in_time),
    "no segment": ("segments-time", lambda f: f.write_segments([])),
    "a run in an unknown environment": ("environment-known", manifest("environment", value="0" * 16)),
    "a track taken out": ("track-known", lambda f: f.edit("study.json", lambda data: data["tracks"].pop("tiny"))),
    "a track called skipped": ("track-known", study(lambda track: track.update(skipped="no GPU"))),
    "another table pinned": (
        "track-fingerprint",
        protocol(lambda plain: set_in(plain["tracks"], 0, "0" * 64, "benchmark", "fingerprint")),
    ),
    "an optimum nobody can reach": (
        "references",
        study(lambda track: set_in([track], 0, 1e6, "references", "optimum", TEST, "value")),
    ),
    "quantiles without the optimum": (
        "references",
        study(lambda track: track["references"].update(quantiles={TEST: [10.0, 50.0, 99.0]})),
    ),
    "quantiles of another mean": ("references", study(with_low_quantiles)),
    "draws worth more than they are": (
        "references",
        study(
            lambda track: track["references"].update(
                best_of_draws={"metric": TEST, "draws": [1, 2], "expected": [90.0, 91.0]}
            )
        ),
    ),
    "a random search that was better": (
        "references",
        study(
            lambda track: track["references"].update(
                random_search={"metric": TEST, "expected": 99.9, "spent": [1.0], "curve": [99.9], "basis": ""}
            )
        ),
    ),
    "a correlation above one": (
        "references",
        study(
            lambda track: track["references"].update(agreement={TEST: {"objective": VALID, "kendall_tau": 1.5, "n": 2}})
        ),
    ),
    "a lower optimum": (
        "optimum-bound",
        study(lambda track: set_in([track], 0, 84.5, "references", "optimum", TEST, "value")),
    ),
    "a row tuned on its own track": ("tuning-apart", protocol(lambda plain: plain["tuning"].append(tuned(plain)))),
    "what a tuning found that never was": (
        "tuning-ledger",
        lambda f: f.edit("study.json", lambda data: data.update(tuning={"random_search": LEDGER})),
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_corruption_is_found(forger: Any, name: str) -> None:
    rule, forge = PLAIN[name]
    forge(forger)
    assert rule in verify(forger.root).violated


@pytest.mark.parametrize("name", CAREFUL)
def test_a_corruption_with_every_hash_recomputed_is_found(forger: Any, name: str) -> None:
    rule, forge = CAREFUL[name]
    forge(forger)
    forger.rehash()
    violated = set(verify(forger.root).violated)
    assert rule in violated
    assert not (violated & HASHES) - {rule}, "the forger has forgotten a hash"


def test_a_manifest_with_another_protocol_hash_is_found(forger: Any) -> None:
    forger.rehash()
    forger.edit(forger.run() / "manifest.json", lambda data: data.update(protocol_hash="0" * 64))
    assert verify(forger.root).violated == ("protocol-hash",)


def test_every_rule_has_a_corruption_that_breaks_it() -> None:
    broken = {rule for rule, _ in [*PLAIN.values(), *CAREFUL.values()]}
    assert broken == set(OF_FOLDERS)
    assert len(PLAIN) + len(CAREFUL) >= 40
    assert len(CAREFUL) >= 25


def test_a_finding_says_where_and_what(forger: Any) -> None:
    put(trials, 2, 7, "seed")(forger)
    forger.rehash()
    (finding,) = verify(forger.root).findings
    assert finding.place == "runs/tiny/random_search/base/r0000/trials.jsonl:3"
    assert (finding.rule, finding.what, finding.found) == ("trial-seed", "seed", "7")
    assert int(finding.expected) > 7
    assert RULES[finding.rule]
