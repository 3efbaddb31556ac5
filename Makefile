# The two commands of the README, and what they are made of. `make run` and `make test` set everything up themselves.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test lint types floors unit bench clean

run: $(STAMP)
	$(BIN)/python -m harness run protocols/quickstart.yaml

test: lint types floors unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

floors: $(STAMP)
	$(BIN)/lint-imports

# On all cores. Benchmarks need the machine for themselves: `make bench` measures.
unit: $(STAMP)
	$(BIN)/pytest --numprocesses=auto --dist=worksteal --ignore=tests/perf

bench: $(STAMP)
	$(BIN)/pytest tests/perf --benchmark-only --benchmark-columns=min,median,rounds

# `run` needs the test tools no more than a user does, but one environment for both keeps the second command quick.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
