"""Name the cells that stand for the whole space where time, memory or work is measured."""

from __future__ import annotations

from benchmarks.spaces.nb201 import CONV_1X1, CONV_3X3, EDGES, NONE, POOL, SKIP, compose

# One of each operation and one more skip: about the mean of the space in multiply-adds and in kernels.
AVERAGE = compose((CONV_3X3, SKIP, CONV_1X1, POOL, NONE, SKIP))

HEAVIEST = compose((CONV_3X3,) * len(EDGES))
"""The most multiply-adds: all other costs grow with them."""

LIGHTEST = compose((NONE,) * len(EDGES))
"""The fewest: what is left is the network around the cells."""
