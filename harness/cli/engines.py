"""Answer `check-engine`: train the same networks with an engine and with the reference, and compare."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from harness.cli.parser import place_of
from harness.cli.progress import Steps
from harness.cli.tables import console, print_table, shown
from harness.core.errors import UsageError, VerificationFailed
from harness.core.interfaces import Place
from harness.protocol import build
from reports.engines import DIFFERENT, engine_report, judge
from reports.render import write

if TYPE_CHECKING:
    from benchmarks.training.equivalence import Trained
    from benchmarks.training.fit import Course
    from benchmarks.training.settings import TrainingConfig

REFERENCE = "reference"


def check_engine(options: argparse.Namespace) -> int:
    """Train, compare, print the verdict, and write the report with every network.

    Raises:
        UsageError: an option makes no sense.
        VerificationFailed: the engine trains differently.
    """
    # Torch takes seconds to load: only where networks are trained.
    from benchmarks.training import equivalence  # noqa: PLC0415
    from benchmarks.training.settings import TrainingConfig  # noqa: PLC0415

    if options.seeds < 2 or options.epochs < 1:  # noqa: PLR2004 - two seeds are compared with each other
        raise UsageError(f"--seeds, --epochs: {options.seeds}, {options.epochs} make no comparison; give 2, 1 or more")
    config: TrainingConfig = build(TrainingConfig, _options(options))
    place = replace(place_of(options), device=options.device or "cpu")
    course = equivalence.course_of(config, options.epochs, place)
    archs = equivalence.sample(options.cells, options.seed)
    calls = -(-options.cells * options.seeds // equivalence.AT_ONCE)
    with Steps("bundles", Console(stderr=True)) as steps:
        done = iter(range(1, 2 * calls + 1))
        pair = [
            equivalence.train(name, course, archs, options.seeds, lambda: steps(next(done), 2 * calls))
            for name in (REFERENCE, options.engine)
        ]
    return _report(options, pair, [str(arch) for arch in archs], _setting(config, course, pair, place))


def _options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the training benchmark; values are read as JSON, or are texts."""
    chosen: dict[str, Any] = {}
    for text in options.set:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set: {text!r} is no KEY=VALUE; write, for instance, --set channels=4")
        try:
            chosen[key] = json.loads(value)
        except json.JSONDecodeError:
            chosen[key] = value
    return chosen | {"dataset": options.dataset, "engine": options.engine}


def _setting(config: TrainingConfig, course: Course, pair: list[Trained], place: Place) -> dict[str, str]:
    cells, seeds = pair[0].accuracy.shape
    recipe = course.recipe.describe()
    return {
        "data": f"{config.dataset}, {len(course.train)} training and {len(course.watch['valid'])} validation images",
        "recipe": ", ".join(f"{key} {value}" for key, value in recipe.items()),
        "networks": f"{cells} random cells, seeds 0 to {seeds - 1}",
        "device, threads": f"{place.device}, {course.threads}",
        **{f"seconds for a network, {one.engine}": f"{one.seconds / (cells * seeds):.3f}" for one in pair},
    }


def _report(options: argparse.Namespace, pair: list[Trained], archs: list[str], setting: dict[str, str]) -> int:
    first, second = pair
    accuracies = first.accuracy, second.accuracy
    document = engine_report((first.engine, second.engine), archs, accuracies, setting)
    out = options.out or Path("runs") / f"check-{options.engine}-{options.dataset}"
    path = write(document, out)[0].resolve()
    target = console()
    table = document.sections[0].tables[0]
    print_table(target, document.title, table.columns, table.rows)
    target.print(f"{document.sections[0].text.replace('**', '')} Report: {shown(path)}", markup=False)
    if judge(*accuracies).word == DIFFERENT:
        raise VerificationFailed(f"engine {options.engine!r} trains differently from {REFERENCE!r}; see {path}")
    return 0
