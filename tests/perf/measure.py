"""Measure the engines: `python tests/perf/measure.py {cpu,attach,paper,gpu} docs/measurements.md` writes a part of it.

What stands between the two marks of the part is replaced. Networks and images are made up, since they do not matter to
the clock; only the training of known cells needs CIFAR-10 and its table, from the folder NAS_DATA_DIR.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.spaces.nb201 import Skeleton
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
        lines += ["", text, "", row(columns), row(["---"] * len(columns)), *map(row, rows)]
    return "\n".join(lines)


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


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
    part, path = sys.argv[1], Path(sys.argv[2])
    begin, end = f"<!-- {part} begin -->", f"<!-- {part} end -->"
    before = path.read_text(encoding="utf-8")
    if not (part in {"cpu", "attach", "paper", "gpu"} and begin in before and end in before):
        sys.exit(f"{path}: no marks {begin} and {end}; name cpu, attach, paper or gpu, and a page that holds them")
    text = render(import_module(f"measure_{part}").sections())
    before = path.read_text(encoding="utf-8")  # somebody may have edited it meanwhile
    whole = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    path.write_text(whole.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", before), encoding="utf-8")


if __name__ == "__main__":
    main()
