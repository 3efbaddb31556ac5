"""The fit of every surrogate of cells against that of ridge regression, in one run.

Nothing here passes or fails by time: `extra_info` carries the seconds of a fit to 50 cells and of a prediction, and
`ratio`, how many times longer the fit takes than ridge. The dish is timed on a tenth of its outer steps, which
`part` says. Seconds are those of the processor, which a busy machine hardly changes.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.spaces.nb201 import NasBench201
from methods.surrogates import dishes
from methods.surrogates.surrogate import surrogate

SPACE = NasBench201()
NAMES = ("ridge", "forest", "gaussian_process", "network", "spd_untrained", "spd")
PART = 0.1
SECONDS: dict[str, float] = {}

Timed = Any
"""The fixture of pytest-benchmark."""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dishes.settings_of

    def tenth(changes: dict[str, object]) -> object:
        settings = whole(changes)
        phases = tuple(replace(phase, steps=round(phase.steps * PART)) for phase in settings.phases)
        return replace(settings, phases=phases, attempts=0)

    monkeypatch.setattr(dishes, "settings_of", tenth)


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("name", NAMES)
def test_fit_of_a_surrogate_to_fifty_cells(benchmark: Timed, name: str) -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    cells = [SPACE.arch(int(index)) for index in rng.choice(len(SPACE), 100, replace=False)]
    values = rng.normal(size=50)
    one = surrogate(name, SPACE)
    one.fit(cells[:4], values[:4], np.random.Generator(np.random.PCG64(1)))  # loads its libraries
    benchmark.group = "fit to 50 cells"
    benchmark.pedantic(lambda: one.fit(cells[:50], values, np.random.Generator(np.random.PCG64(1))), rounds=1)
    before = time.process_time()
    predicted = one.predict(cells[50:])
    each = (time.process_time() - before) / 50
    seconds = SECONDS.setdefault(name, benchmark.stats.stats.min) if benchmark.stats else 0.0
    part = PART if name == "spd" else 1.0
    benchmark.extra_info |= {
        "prediction of a cell, ms": round(1000 * each, 3),
        "reference": "ridge",
        "part": part,
        "ratio": round(seconds / part / SECONDS.get("ridge", seconds), 1) if seconds else 1.0,
    }
    assert np.isfinite(predicted).all()
