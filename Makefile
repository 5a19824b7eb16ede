# make demo   run the four example jobs in a real local Airflow, against the sandbox
# make up     leave Airflow's UI and the sandbox running; make down stops them
# make test   lint, types and all tests; make clean removes all that was built
# make test-long  the tests' long form; make bench  how it compares with what people use today

PYTHON ?= python3
UV_VERSION := 0.13.9

BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --quiet
TESTS := -n 3 --dist worksteal
READY := .venv/.ready
FLOOR := .venv-floor/.ready
NEWEST := .venv-newest/.ready

export UV_PYTHON_DOWNLOADS := never
# Hundreds of processes begin here, each with Airflow: none of them shall compile it anew.
unexport PYTHONDONTWRITEBYTECODE
export GOAL := $(firstword $(MAKECMDGOALS))
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo up down test lint types unit contract floor newest system test-long bench constraints clean

help:
	@sed -n '1,4s/^# //p' Makefile

demo up: $(READY)
	@$(BIN)/python -m dev $@

down:
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m dev down; else echo "Nothing is running"; fi

test: lint types newest contract floor system
	@echo "All checks passed"

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy
	$(BIN)/mypy dev

unit: $(READY)
	$(BIN)/pytest $(TESTS)

contract: $(READY)
	$(BIN)/pytest --timeout 600 tests/contract

# All tests on the newest pair, and what may depend on versions on the oldest one.
newest: $(NEWEST)
	@$(call with,newest,Airflow 3.3.2 on Python 3.13,,$(BIN)/pytest $(TESTS))

floor: $(FLOOR)
	@$(call with,floor,Airflow 3.1.8 on Python 3.11,-m 'not slow',true)

system: $(READY)
	$(BIN)/pytest --timeout 600 tests/system

# What `make test` does in its short form. Fifty rounds take a quarter of an hour; CRASH_SEED repeats the moments.
test-long: export CRASH_ROUNDS ?= 50
test-long: export FAULT_MATRIX_LONG ?= 1
test-long: export HYPOTHESIS_PROFILE ?= long
test-long: $(READY)
	$(BIN)/pytest --timeout 3600 $(TESTS)
	$(BIN)/pytest --timeout 7200 -s tests/system/test_crash.py

# The table of docs/benchmarks.md. It wants the machine for itself.
bench: $(READY)
	$(BIN)/python -m tests.benchmarks --write docs/benchmarks.md

# The environment to work in.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) dev/interpreters.py
	@echo "Building .venv with $$($(PYTHON) --version)"
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet uv==$(UV_VERSION); } \
		|| { rm -rf .venv; exit 1; }
	$(INSTALL) --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The oldest and the newest pair that are supported, each in an environment of its own. A machine without
# the interpreter says so and goes on; the pipeline (CI=true) fails.
$(FLOOR): pyproject.toml constraints-floor.txt | $(READY)
	@$(call build,floor,3.11,constraints-floor.txt)

$(NEWEST): pyproject.toml constraints.txt | $(READY)
	@$(call build,newest,3.13,constraints.txt)

define build
	python=$$($(BIN)/python dev/interpreters.py $(2)) || { [ "$$CI" != true ] || exit 1; exit 0; }; \
	echo "Building .venv-$(1) with Python $(2)"; \
	$(BIN)/uv venv --quiet --clear --python "$$python" .venv-$(1) \
	&& $(INSTALL) --python .venv-$(1)/bin/python --constraint $(3) --editable '.[dev]' \
	&& touch .venv-$(1)/.ready
endef

define with
	if [ -e .venv-$(1)/.ready ]; then \
		echo ".venv-$(1)/bin/pytest $(TESTS) $(3)  # $(2)"; .venv-$(1)/bin/pytest $(TESTS) $(3); \
	else \
		echo; echo "!!!! NOT TESTED on $(2): this machine lacks the interpreter !!!!"; echo; $(4); \
	fi
endef

# Pin anew what is installed: names and versions, nothing of the machine that did it.
PIN := $(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --extra dev pyproject.toml
constraints: $(READY)
	$(PIN) --universal --python-version 3.11 --upgrade --output-file constraints.txt
	echo apache-airflow==3.1.8 > .venv/floor.txt
	$(PIN) --python-version 3.11 --constraint .venv/floor.txt --exclude-newer 2026-03-25 --upgrade \
		--output-file constraints-floor.txt

clean: down
	rm -rf .venv .venv-* .airflow output .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find airflow_provider example_dags dev tests -name __pycache__ -prune -exec rm -rf {} +
