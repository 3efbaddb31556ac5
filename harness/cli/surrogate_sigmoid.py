"""Assess the Synthetic Petri Dish on the slopes of a sigmoid network: `check-surrogate sigmoid`."""

from __future__ import annotations

import argparse

from rich.console import Console

from benchmarks.sigmoid.curve import load
from harness.cli.progress import Steps
from harness.core.records import Document
from reports.slope_metrics import Experiment
from reports.slopes import slope_report

DEFAULT_INIT = "mnist-default-init"


def assess(options: argparse.Namespace) -> Document:
    """Run the whole experiment on the shipped curve and report it."""
    # Torch takes seconds to load: only where something is trained.
    from methods.surrogates.slopes import REDUCED, Plan, drawn_splits, one_shot, sequential  # noqa: PLC0415

    plan = REDUCED if options.reduced else Plan()
    curve, other = load("mnist"), load(DEFAULT_INIT)
    grid, truth = curve.slopes, curve.valid.mean(axis=1)
    splits = drawn_splits(grid, plan, options.seed)
    with Steps("methods", Console(stderr=True)) as steps:
        found = one_shot(grid, truth, splits, plan, options.seed, steps)
        best = sequential(grid, truth, splits, plan, options.seed)
    definition, dish = curve.definition, plan.dish
    setting = {
        "ground truth": f"{curve.file}, {definition.slopes} slopes, mean of {definition.repeats} repeats",
        "full networks": f"{definition.inputs}-{definition.width}-{definition.width}-{definition.classes}, Adam "
        f"{definition.rate:g}, batches of {definition.batch}, {definition.epochs} epochs of {definition.train} images",
        "training slopes": f"{plan.points} of the {int(((grid >= plan.low) & (grid <= plan.high)).sum())} between "
        f"{plan.low:g} and {plan.high:g}, drawn anew for each restart",
        "dish": f"{dish.restarts} restarts; inner loop {dish.inner.steps} steps of Adam at {dish.inner.rate:g}; "
        f"{dish.outer_steps} outer steps; {dish.samples} samples to train on and as many to validate; {dish.precision}",
        "seed": str(options.seed),
    }
    return slope_report(
        Experiment(
            slopes=grid,
            accuracies=curve.valid,
            default_init=(other.slopes, other.valid.mean(axis=1)),
            low=plan.low,
            high=plan.high,
            splits=splits,
            values={name: one.values for name, one in found.items()},
            train_error={name: one.train_error for name, one in found.items()},
            redrawn={name: one.redrawn for name, one in found.items()},
            diverged={name: one.diverged for name, one in found.items()},
            seconds={name: one.seconds for name, one in found.items()},
            best=best,
            setting=setting,
            reduced=options.reduced,
        )
    )
