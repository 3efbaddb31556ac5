"""Repeat a study with other seeds, and test whether its results are the same in distribution.

Replaying a record asks whether the same bytes come out again (exact reproducibility); repeating it asks whether the
finding holds for seeds that nobody has looked at (broad reproducibility). Li and Talwalkar, "Random Search and
Reproducibility for Neural Architecture Search", UAI 2019, set the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.campaign import Settings, Watcher, conduct
from harness.core.canonical import content_hash
from harness.core.errors import UsageError
from harness.core.schema import Analysis, ProtocolModel
from harness.plan import expand
from harness.store import Study, folder_name
from harness.store.files import write_json
from reports.frame import Cell, read
from reports.reproduction import SMALLEST_SAMPLE
from reports.stats import Moments, compare, equivalence, holm

RECORD = "repeat.json"
SCHEMA = 1
VERDICTS = ("equivalent", "different", "inconclusive")


@dataclass(frozen=True, slots=True)
class Repeated:
    """One row of a study against its repetition, on the primary metric of the track.

    Attributes:
        sizes: runs of the original and of the repetition.
        means: their means; NaN where a side has no run.
        difference: repetition minus original.
        p_equivalence: p-value of the two one-sided tests against the protocol's margin; NaN where not tested.
        p_difference: two-sided Welch test of no difference, which decides on 'different', adjusted as `p_ranks` is.
        p_ranks: two-sided Mann-Whitney test over the runs, adjusted over all rows that were tested where the protocol
            corrects: of many rows that are equal, some differ by chance. Equivalence needs no such correction: to
            call all rows equivalent, each one must pass (Berger, 1982).
        verdict: 'equivalent', 'different', 'inconclusive', or 'not tested' with the reason.
    """

    track: str
    method: str
    variant: str
    metric: str
    sizes: tuple[int, int]
    means: tuple[float, float]
    difference: float
    p_equivalence: float
    p_difference: float
    p_ranks: float
    verdict: str


def seed_block(text: str) -> range:
    """Return the seeds that `A:B` names: A, and every whole number up to B, which is not among them.

    Raises:
        UsageError: it is no such block.
    """
    first, colon, end = text.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise UsageError(f"--seeds: {text!r} is no block of seeds; give two whole numbers such as 100:130, A below B")
    return range(int(first), int(end))


def derive(protocol: ProtocolModel, seeds: range) -> ProtocolModel:
    """Return the same protocol with these seeds on every track; its description says what it repeats.

    The name stays, since trial seeds derive from it; the hash is another, since the seeds are another.

    Raises:
        UsageError: a seed was already used by the original.
    """
    for track in protocol.tracks:
        used = sorted(set(track.seed_list()) & set(seeds))
        if used:
            raise UsageError(
                f"--seeds: track {track.id!r} has used {', '.join(map(str, used[:3]))} already; a repetition needs "
                f"seeds of its own, for instance {max(track.seed_list()) + 1}:{max(track.seed_list()) + 1 + len(seeds)}"
            )
    plain = protocol.model_dump(mode="json", by_alias=True)
    for track_plain in plain["tracks"]:
        track_plain["replicates"] = len(seeds)
        track_plain["seeds"]["list"] = list(seeds)
    origin = f"Repeats {protocol.protocol} {protocol.version}, protocol hash {protocol.hash()}, with other seeds."
    plain["description"] = f"{protocol.description} {origin}".strip()
    return ProtocolModel.model_validate(plain, by_alias=True, by_name=False)


def repeat(
    study: Study, protocol: ProtocolModel, seeds: range, out: Path | None, settings: Settings, watcher: Watcher
) -> tuple[Study, list[Repeated]]:
    """Run the derived protocol in a folder of its own, or go on where it stopped, and test row by row.

    The verdicts also go into `repeat.json` of the new folder.

    Raises:
        UsageError: the seeds were used already.
        HarnessError: see `harness.campaign.conduct`.
    """
    derived = derive(protocol, seeds)
    resolved = derived.resolved()
    again = Study(out or study.folder.parent / folder_name(resolved, content_hash(resolved)))
    conduct(derived, resolved, again, settings, watcher)
    answers = compare_studies(study, protocol, again, derived)
    origin = {
        "protocol": f"{protocol.protocol}@{protocol.version}",
        "protocol_hash": protocol.hash(),
        "journals": study.digest(expand(protocol, study.choices())),
    }
    write_json(
        again.folder / RECORD,
        {
            "schema": SCHEMA,
            "repeats": origin,
            "seeds": [seeds.start, seeds.stop],
            "margin": protocol.analysis.equivalence_margin,
            "alpha": protocol.analysis.alpha,
            "answers": [_plain(answer) for answer in answers],
        },
    )
    return again, answers


def _plain(answer: Repeated) -> dict[str, Any]:
    facts = asdict(answer) | {"means": list(answer.means), "sizes": list(answer.sizes)}
    return {name: _finite(value) for name, value in facts.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def compare_studies(first: Study, protocol: ProtocolModel, second: Study, derived: ProtocolModel) -> list[Repeated]:
    """Test every row of a study against its repetition; rows in the order of the plan."""
    before, after = _cells(first, protocol), _cells(second, derived)
    rows = [_row(key, before[key], after.get(key), protocol) for key in before]
    return _judged(rows, protocol.analysis)


def _judged(rows: list[Repeated], plan: Analysis) -> list[Repeated]:
    """Adjust the tests of no difference over the rows that were tested, and give the verdicts."""
    tested = [row for row in rows if isfinite(row.p_ranks)]
    adjust = holm if plan.correction == "holm" else list
    differences = adjust([row.p_difference for row in tested])
    ranks = adjust([row.p_ranks for row in tested])
    judged = iter(
        replace(row, p_difference=p, p_ranks=q, verdict=_verdict(row.p_equivalence, p, plan.alpha))
        for row, p, q in zip(tested, differences, ranks, strict=True)
    )
    return [next(judged) if isfinite(row.p_ranks) else row for row in rows]


def _verdict(p_equivalence: float, p_difference: float, alpha: float) -> str:
    if p_equivalence < alpha:
        return "equivalent"
    return "different" if p_difference < alpha else "inconclusive"


def _cells(study: Study, protocol: ProtocolModel) -> Mapping[tuple[str, str, str], Cell]:
    frame = read(study.record(expand(protocol, study.choices())))
    return {cell.key: cell for track in frame.tracks for cell in track.cells}


def _row(key: tuple[str, str, str], before: Cell, after: Cell | None, protocol: ProtocolModel) -> Repeated:
    metric = protocol.track(key[0]).final.metrics[0]
    samples = [before.finals(0), after.finals(0) if after is not None else np.array([])]
    sizes = (len(samples[0]), len(samples[1]))
    means = (_mean(samples[0]), _mean(samples[1]))
    if min(sizes) < SMALLEST_SAMPLE:
        verdict = f"not tested: fewer than {SMALLEST_SAMPLE} runs"
        return Repeated(*key, metric, sizes, means, means[1] - means[0], nan, nan, nan, verdict)
    old, new = (Moments(float(np.mean(sample)), float(np.std(sample, ddof=1)), len(sample)) for sample in samples)
    answer = equivalence(new, old, protocol.analysis.equivalence_margin, protocol.analysis.alpha)
    ranks = compare(samples[1], samples[0]).p
    return Repeated(*key, metric, sizes, means, answer.difference, answer.p, answer.p_difference, ranks, answer.verdict)


def _mean(sample: NDArray[np.float64]) -> float:
    return float(np.mean(sample)) if len(sample) else nan


def summary(answers: Sequence[Repeated]) -> str:
    """Say in one sentence what the repetition shows."""
    counts = {verdict: sum(row.verdict == verdict for row in answers) for verdict in VERDICTS}
    untested = len(answers) - sum(counts.values())
    said = ", ".join([*(f"{count} {verdict}" for verdict, count in counts.items()), f"{untested} not tested"])
    return f"Broad reproducibility (new seeds, same protocol), {len(answers)} rows: {said}."
