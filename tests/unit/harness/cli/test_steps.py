"""The progress of a build: what was done before does not count, and nothing is drawn without a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from harness.cli.progress import Steps


def test_a_resumed_build_counts_only_what_is_left() -> None:
    stream = io.StringIO()
    with Steps("bundles", Console(file=stream, force_terminal=True, width=100)) as steps:
        steps(31, 609)
        bar = steps._bars.tasks[0]
        assert (bar.completed, bar.total) == (1, 579)
        steps(32, 609)
        assert (bar.completed, bar.description) == (2, "32/609 bundles")
        steps(609, 609)
        assert bar.finished
    assert "609/609 bundles" in stream.getvalue()


def test_it_is_quiet_without_a_terminal() -> None:
    stream = io.StringIO()
    with Steps("bundles", Console(file=stream)) as steps:
        steps(1, 2)
    assert stream.getvalue() == ""
