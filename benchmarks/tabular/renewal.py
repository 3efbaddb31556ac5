"""Follow random search on a table through its budget as one power series in what has been spent.

With F_v(z) the generating function of the cost of one draw whose objective
is below a level v (a sub-probability) and G_v(z) the same with the level included, draws below v alone have been made
when `s` is spent with the density [z^s] 1 / (1 - F_v(z)), a renewal equation. The incumbent at the end is a cell of
level v if draws below v are followed by that cell and then by draws of at most level v until the run stops:

    P(cell is the incumbent when s is spent) = [z^s] z^cost / n * tail(z) / ((1 - F_v(z)) (1 - G_v(z)))

where `tail` is the generating function of P(the next draw crosses s). The sum over cells, each with its target, is one
power series whose coefficients are the whole anytime curve. It is evaluated on a circle of radius below one and read
off by a single inverse FFT. Radius and length are chosen so that what wraps around is damped to 1e-11 of itself, while
rounding errors grow by less than 1e6; together they stay below 1e-8 of the target's range.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.core.types import Overrun

Floats = NDArray[np.float64]
Spectrum = NDArray[np.complex128]
Levels = list[NDArray[np.intp]]
Rounding = Literal["exact", "shared", "down", "up"]

_WRAP = 1e-11  # what remains of a coefficient that wraps around the transform
_NEGLIGIBLE = 1e-9  # levels that are the incumbent with less probability than this in all are left out
_CHECK_EVERY = 64  # levels between two looks at the remaining probability
_EDGE = 1e-9  # in steps: forgives the rounding of limit / step
_FEW = 8  # so many cells are quicker to add up one by one than through a transform


class Race:
    """Random search on a grid of costs, as a power series in the steps that have been spent.

    Args:
        costs: the costs in steps.
        target: the target of each cell.
        limit: the budget in steps.
        rounding: 'exact': costs are whole; 'shared': each cost is shared between the neighbouring steps so that its
            mean is kept; 'down' and 'up': to whole steps.
        overrun: whether the crossing draw counts.
    """

    def __init__(self, costs: Floats, target: Floats, limit: float, rounding: Rounding, overrun: Overrun) -> None:
        self.limit, self.rounding, self.keep = limit, rounding, overrun == "keep"
        self.last = int(np.floor(limit + _EDGE))
        self.size = 2 ** int(np.ceil(np.log2(self.last + 2)) + 1)
        # Dearer than the limit is dear enough: all costs above it give the same answer.
        capped = np.minimum(np.ceil(costs) if rounding == "up" else costs, self.last + 1.0)
        self.units = np.floor(capped).astype(np.int64)
        self.shares = capped - self.units if rounding == "shared" else np.zeros_like(capped)
        self.centre = float(target.mean())
        self.target = target - self.centre
        self.radius = _WRAP ** (1.0 / self.size)

    def final(self, levels: Levels) -> float:
        """Return the expected target when the budget is spent; `levels` holds the cells of each, best first."""
        return float(self._expected(levels, np.array([self.limit]))[0])

    def curve(self, levels: Levels, points: Floats) -> Floats:
        """Return the expected target after `points` steps, each enough for the cheapest draw."""
        return self._expected(levels, points)

    def _expected(self, levels: Levels, points: Floats) -> Floats:
        total = np.zeros_like(self._circle)
        for term in self._terms(levels, float(points.min())):
            total += term
        sums = self._read(total * self._after, points)
        return np.asarray(sums / self._read(self._counted, points) + self.centre)

    def _read(self, spectrum: Spectrum, points: Floats) -> Floats:
        """Return the coefficients of a series that count at `points`.

        What ends at the limit counts; with the overrun kept, what starts before it. Where costs are shared, the
        coefficient of a step stands for the middle of the interval that it opens.
        """
        series = np.fft.irfft(spectrum, self.size)[: self.last + 1] * self.radius ** -np.arange(self.last + 1.0)
        if self.rounding == "shared":
            return np.asarray(np.interp(points - 0.5, np.arange(series.size), series))
        whole = np.ceil(points - _EDGE) - 1 if self.keep else np.floor(points + _EDGE)
        return np.asarray(series[whole.astype(np.int64)])

    def _terms(self, levels: Levels, earliest: float) -> Iterator[Spectrum]:
        """Yield what each level adds to the expected target, best level first.

        Ends when the lower levels together are the incumbent with negligible probability after `earliest` steps.
        """
        draws, mass = self._every, 1.0
        upper = 1.0 / (1.0 - draws)
        for number, cells in enumerate(levels, 1):
            drawn, gain = self._draw(cells)
            draws = draws - drawn
            lower = 1.0 / (1.0 - draws)
            if self.keep:
                yield lower * (self.target[cells].sum() / self.units.size - (1.0 - mass) * upper * gain)
            else:
                yield lower * upper * gain
            mass -= cells.size / self.units.size
            upper = lower
            if number % _CHECK_EVERY == 0 and self._remaining(draws, mass, earliest) < _NEGLIGIBLE:
                return

    def _remaining(self, draws: Spectrum, mass: float, point: float) -> float:
        """Return the probability that draws count, and all of them are of the levels whose `draws` are given."""
        found = mass - (1.0 - mass) * draws / (1.0 - draws) if self.keep else draws / (1.0 - draws)
        return float(self._read(found * self._after, np.array([point]))[0])

    @cached_property
    def _roots(self) -> Spectrum:
        """The points of the unit circle, clockwise as in a forward FFT."""
        return np.asarray(np.exp(-2j * np.pi * np.arange(self.size) / self.size))

    @cached_property
    def _circle(self) -> Spectrum:
        """The points z where series are evaluated: the half of the circle that a real series needs."""
        return np.asarray(self.radius * self._roots[: self.size // 2 + 1])

    @cached_property
    def _every(self) -> Spectrum:
        """The series of the cost of one draw."""
        return self._sum(np.arange(self.units.size), np.ones(self.units.size))

    @cached_property
    def _after(self) -> Spectrum:
        """The factor for what follows the last draw that counts: no limit, or a draw that crosses it."""
        return (1.0 if self.keep else 1.0 - self._every) / (1.0 - self._circle)

    @cached_property
    def _counted(self) -> Spectrum:
        """The series of the probability that the first draw counts."""
        return (1.0 if self.keep else self._every) / (1.0 - self._circle)

    def _draw(self, cells: NDArray[np.intp]) -> tuple[Spectrum, Spectrum]:
        """Return the sum of z ** cost over `cells`, over the number of all cells, plain and weighted by target."""
        if cells.size > _FEW:
            return self._sum(cells, np.ones(cells.size)), self._sum(cells, self.target[cells])
        drawn = self._power(int(cells[0]))
        gain = self.target[cells[0]] * drawn
        for cell in cells[1:]:
            power = self._power(int(cell))
            drawn += power
            gain += self.target[cell] * power
        return drawn, gain

    def _power(self, cell: int) -> Spectrum:
        """Return z ** cost of one cell, over the number of cells."""
        turns = np.arange(self.size // 2 + 1) * self.units[cell]
        power = self._roots[turns & (self.size - 1)] * (self.radius ** self.units[cell] / self.units.size)
        share = self.shares[cell]
        return np.asarray(power * (1.0 - share + share * self._circle) if share else power)

    def _sum(self, cells: NDArray[np.intp], weights: Floats) -> Spectrum:
        """Return the weighted sum of z ** cost over `cells`, over the number of all cells."""
        units, shares = self.units[cells], self.shares[cells]
        masses = np.bincount(units, weights * (1.0 - shares), self.size)
        masses += np.bincount(units + 1, weights * shares, self.size)
        damped = masses * self.radius ** np.arange(self.size)
        return np.asarray(np.fft.rfft(damped) / self.units.size)
