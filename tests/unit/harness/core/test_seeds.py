from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.core.seeds import SeedTree


def test_a_seed_is_the_same_in_another_process_with_another_hash_seed() -> None:
    program = "from harness.core.seeds import SeedTree; print(SeedTree.root('study', 7).child('a', 1).seed())"
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert answers == {f"{SeedTree.root('study', 7).child('a', 1).seed()}\n"}


def test_another_consumer_never_shifts_a_seed() -> None:
    root = SeedTree.root("study", 0)
    before = root.child("method").seed()
    root.child("noise").generator().random(100)
    assert root.child("method").seed() == before


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_different_paths_have_different_seeds(one: list[str], other: list[str]) -> None:
    same = SeedTree(tuple(one)).seed() == SeedTree(tuple(other)).seed()
    assert same == (one == other)


def test_numbers_and_names_lead_to_the_same_child() -> None:
    assert SeedTree(("a",)).child(3) == SeedTree(("a",)).child("3")


def test_generators_of_one_node_are_equal_and_independent() -> None:
    node = SeedTree.root("study", 0).child("x")
    assert np.array_equal(node.generator().random(5), node.generator().random(5))
    assert not np.array_equal(node.generator().random(5), node.child("y").generator().random(5))


def test_seeds_fit_every_library() -> None:
    assert all(0 <= SeedTree.root("study", seed).seed() < 2**63 for seed in range(1000))
