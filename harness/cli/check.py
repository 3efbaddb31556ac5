"""Answer `check`: what a protocol will do on this machine, before anything starts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console

from harness import checkup
from harness.campaign import Settings, open_tuning, survey
from harness.cli.parser import place_of, workers_of
from harness.cli.tables import console, print_facts, print_table
from harness.core.interfaces import Benchmark
from harness.core.records import TUNING
from harness.core.schema import ProtocolModel
from harness.plan import CATALOGUE
from harness.protocol import load
from harness.tuning import tuned

MINUTE = 60
HOUR = 3600
DAY = 24 * HOUR
GIB = 2**30


def check(options: argparse.Namespace) -> int:
    """Validate a protocol and show the plan, the capabilities, and an estimate of time and memory."""
    loaded = load(options.protocol, CATALOGUE)
    settings = Settings(place_of(options), workers_of(options), options.allow_slow, options.allow_drift)
    target = console()
    target.print(f"{loaded.resolved['protocol']} {loaded.resolved['version']}: valid, hash {loaded.hash}", markup=False)
    benchmarks = _survey(loaded.model, settings)
    _print_plan(target, checkup.rows(loaded.model, benchmarks))
    _print_benchmarks(target, benchmarks)
    _print_forecast(target, loaded.model, settings, benchmarks)
    return 0


def _survey(protocol: ProtocolModel, settings: Settings) -> dict[str, Benchmark | str]:
    """Open every benchmark: first those that rows are tuned on, as they are run first."""
    reported = survey(protocol, settings)
    tunings = {
        TUNING + entry.method: open_tuning(protocol, entry, settings.place, reported) for entry in tuned(protocol)
    }
    return {**tunings, **reported}


def _print_plan(target: Console, rows: list[checkup.Row]) -> None:
    cells = [
        (row.track, row.method, row.variant, str(row.runs), "skipped" if row.obstacle else "will run") for row in rows
    ]
    print_table(target, "plan", ("track", "method", "variant", "runs", "on this machine"), cells)
    for obstacle in dict.fromkeys(row.obstacle for row in rows if row.obstacle):
        where = ", ".join(dict.fromkeys(f"{row.track}/{row.method}" for row in rows if row.obstacle == obstacle))
        target.print(f"skipped: {where}: {obstacle}", markup=False)


def _print_benchmarks(target: Console, benchmarks: Mapping[str, Benchmark | str]) -> None:
    for key, benchmark in benchmarks.items():
        if isinstance(benchmark, str):
            continue
        facts = {
            "is": benchmark.name,
            "offers": ", ".join(sorted(benchmark.offers)),
            "epochs": ", ".join(str(epochs) for epochs in benchmark.fidelities),
        }
        missing = [f"{name}: {why}" for name, why in benchmark.metrics.unavailable.items()]
        print_facts(target, f"benchmark of {key}", {**facts, **({"lacks": "; ".join(missing)} if missing else {})})


def _print_forecast(
    target: Console, protocol: ProtocolModel, settings: Settings, benchmarks: Mapping[str, Benchmark | str]
) -> None:
    # A track that is skipped for being slow here is estimated all the same: how slow is the question.
    possible = _survey(protocol, replace(settings, allow_slow=True))
    cells = [
        (
            row.track,
            _duration(row.seconds),
            f"{row.memory / GIB:.1f} GiB",
            "with --allow-slow" if isinstance(benchmarks[row.track], str) else "",
            row.basis,
        )
        for row in checkup.forecasts(protocol, possible, settings.workers)
    ]
    heading = f"estimate on {settings.place.device} with {settings.workers} worker processes"
    print_table(target, heading, ("track", "time", "memory", "", "basis"), cells)


def _duration(seconds: float) -> str:
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{max(seconds, 0.1):.1f} s"
