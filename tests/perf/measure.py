"""Measure the engines: `python tests/perf/measure.py {cpu,attach,paper,gpu} docs/measurements.md` writes a part of it.

What stands between the two marks of the part is replaced. Networks and images are made up, since they do not matter to
the clock; only the training of known cells needs CIFAR-10 and its table, from the folder NAS_DATA_DIR.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.spaces.nb201 import Skeleton
from benchmarks.training import measured
from benchmarks.training.evaluate import Resident
from benchmarks.training.fit import Course
from benchmarks.training.recipe import Recipe
from harness.environment import code_state, hardware

Section = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""What a reader must know, the columns of its table, and the rows."""

CIFAR, DIGITS = (3, 32), (1, 8)
"""Channels and pixels a side."""


def course_of(recipe: Recipe, images: int, shape: tuple[int, int], device: str = "cpu") -> Course:
    """Return a course on made-up images, which nothing watches."""
    draws, (channels, size) = torch.Generator().manual_seed(5), shape
    pixels = torch.randint(0, 256, (images, channels, size, size), generator=draws, dtype=torch.uint8)
    labels = torch.randint(0, 10, (images,), generator=draws)
    scale = (torch.full((channels,), value, device=device) for value in (127.0, 74.0))
    skeleton = Skeleton(recipe.channels, recipe.cells, image_size=size, image_channels=channels)
    split = Resident(pixels.to(device), labels.to(device), *scale)
    return Course(recipe, skeleton, split, {}, 1, "measurements")


def render(sections: Sequence[Section]) -> str:
    """Return the Markdown of one part: the machine, then what each section says and its table."""
    lines = [f"* {name}: {value}" for name, value in machine().items()]
    for text, columns, rows in sections:
        lines += ["", text, "", measured.table([columns, *rows])]
    return "\n".join(lines)


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    facts = hardware.hardware()
    repository = code_state.code()["repository"] or {}
    named = {
        "measured": datetime.now(UTC).date().isoformat(),
        "commit": f"{repository.get('commit')}{', with changes' if repository.get('changes') else ''}",
        "processor": f"{facts['cpu']['model']}, {facts['cpu']['threads_allowed']} threads allowed, "
        f"{torch.backends.cpu.get_cpu_capability()}",
        "load of the last minute": f"{hardware.sample()['load_average'][0]:.1f}",
        "software": f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}",
    }
    if torch.cuda.is_available():
        named["accelerator"] = "; ".join(f"{gpu['model']}, driver {gpu['driver']}" for gpu in facts["gpus"])
        named["CUDA, cuDNN"] = f"{torch.version.cuda}, {torch.backends.cudnn.version()}"
    return named


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/perf/measure.py", description=__doc__)
    parser.add_argument("part", choices=["cpu", "attach", "paper", "gpu"])
    parser.add_argument("page", type=Path, help="a Markdown file")
    options = parser.parse_args()
    measured.check(options.page, options.part)
    measured.put(options.page, options.part, render(import_module(f"measure_{options.part}").sections()))


if __name__ == "__main__":
    measured.answer(main)
