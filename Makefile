# The two commands of the README, and what they are made of. `make run` and `make test` set everything up themselves.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test lint types floors unit perf bench gpu clean

run: $(STAMP)
	$(BIN)/python -m harness run protocols/quickstart.yaml

test: lint types floors unit perf

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

floors: $(STAMP)
	$(BIN)/lint-imports

# On all cores.
unit: $(STAMP)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal --ignore=tests/perf

# Each benchmark once, one after another, to see that it works and that what it compares is the same.
perf: $(STAMP)
	$(BIN)/pytest tests/perf --quick --benchmark-columns=rounds

# Measuring needs the machine for itself.
bench: $(STAMP)
	$(BIN)/pytest tests/perf --benchmark-only --benchmark-columns=min,median,rounds

# On a machine with a GPU: every test that needs it, then that part of docs/measurements.md.
gpu: $(STAMP)
	$(BIN)/pytest tests/gpu -m gpu
	$(BIN)/python tests/perf/measure.py gpu docs/measurements.md

# Branches that the unit tests take; the engine is held to every one of them, the rest to nine in ten.
ENGINE := harness/core/*,harness/protocol/*,harness/store/*,harness/runner.py,reports/stats.py

coverage: $(STAMP)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal tests/unit tests/contract --cov --cov-report=
	$(BIN)/coverage report --fail-under=100 --include='$(ENGINE)'
	$(BIN)/coverage report --fail-under=90 --omit='$(ENGINE)'

# `run` needs the test tools no more than a user does, but one environment for both keeps the second command quick.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
