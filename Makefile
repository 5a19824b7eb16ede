# make demo   run the example DAGs in a real local Airflow, against the sandbox
# make up     the same, and leave Airflow's UI and the sandbox running; make down stops them
# make cluster  the same on a cluster: Celery, PostgreSQL, Redis, S3, two hosts; make test-cluster proves it (15 min)
# make setup  build .venv, the environment to work in; make clean removes everything that was built
# make docs   build the documentation's site into build/site, strictly
# make check  lint, types, and the tests that matter for what has changed
# make test   lint, types and the tests; also one by one: lint types audit browser unit contract newest floor system
# make test-long  all cases of all tests, in their long form; make soak  a day in two hours; make bench  the table in docs
# make fuzz   coverage-guided fuzzing, ten minutes a target (SECONDS=60 TARGET=ldif for less)
# make stalls  the unit tests while their processes stand still at random: RUNS=20 finds those that need a fast machine
# make mutants  change the code in small ways, and see whether a test fails: docs/mutants.md (hours; AREA=, SAMPLE=)
# make release-check  all of a release but the upload; make pictures  the docs' pictures and the film of the demo

# The newest supported interpreter of this machine; PYTHON=python3.12 names another one.
PYTHON ?= $$(python3 dev/interpreters.py newest)
UV_VERSION := 0.13.9

BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --quiet
# Tests wait for servers, processes and clocks: two or three processes leave half of two processors idle.
TESTS := -n 4 --dist worksteal
UV := .venv/bin/uv
READY := .venv/.ready
FULL := .venv/.full
COMPILED := .venv/.compiled
FLOOR := .venv-floor/.ready
CLUSTER := .venv-cluster/.ready
FUZZ := .venv-fuzz/.ready

export UV_PYTHON_DOWNLOADS := never
# The tests start hundreds of processes, each with Airflow: without .pyc files each one would compile it again.
unexport PYTHONDONTWRITEBYTECODE
export GOAL := $(firstword $(MAKECMDGOALS))
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup check demo up cluster down browser docs test lint types audit unit contract floor newest system \
	test-long soak stalls test-cluster fuzz mutants bench release-check constraints pictures clean

help:
	@sed -n '1,12s/^# //p' Makefile

setup: $(FULL)

demo up: $(READY)
	@$(BIN)/python -m dev $@

cluster: $(CLUSTER)
	@.venv-cluster/bin/python -m dev cluster

down:
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m dev down; else echo "Nothing is running"; fi

docs: $(FULL)
	$(BIN)/python -m dev.site

# TAG=v0.2.0 for the release itself.
release-check: $(FULL)
	$(BIN)/python -m dev.release $(if $(TAG),--tag $(TAG))

# Two lanes at a time: the tests with a real Airflow and those with a browser wait a lot, so they begin the first one, and
# what takes a processor for long gives way to them. What a target prints comes when it is done.
test:
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target IN_ORDER=1 system browser contract floor audit types newest
	@echo "All checks passed"

ifdef IN_ORDER
system: | $(COMPILED) lint
browser: | system
contract: | browser
floor: | contract
audit: | $(FLOOR) lint
types: | audit
newest: | types
GIVE_WAY := nice -n 5
endif

# Lint, types, and the tests that matter for the changed files.
check: lint types
	$(BIN)/pytest $(TESTS) $$($(BIN)/python -m dev.changed)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(FULL)
	$(BIN)/mypy

# What an attacker could use: in the code, and in the workflows. CI also compares the pins with known weaknesses.
audit: $(FULL)
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive airflow_provider dev
	$(BIN)/zizmor --offline --quiet .github/workflows

# All cases; `make test` runs the first one of each test, and none marked nightly. What is left out is printed.
unit: $(READY)
	$(BIN)/pytest $(TESTS)

contract: $(READY)
	$(GIVE_WAY) $(BIN)/pytest --timeout 600 tests/contract

# Each test on the newest pair of versions; on the oldest one those that may depend on versions, by what they use.
# Beside another lane fewer processes do, each of which collects all tests.
newest: TESTS := -n 3 --dist worksteal
floor: TESTS := -n 2 --dist worksteal
newest floor: export HYPOTHESIS_PROFILE ?= short
newest: $(COMPILED)
	@$(BIN)/python dev/interpreters.py say
	$(GIVE_WAY) $(BIN)/pytest $(TESTS) --short

floor: $(FLOOR)
	@$(call with_floor,--floor)

# What needs the extras docs and release: pages in a real browser, the site (built as strictly as by `make docs`), the
# reference, parts of a release.
browser: $(FULL)
	$(GIVE_WAY) $(BIN)/pytest --timeout 900 --short tests/browser

system: $(FULL)
	$(BIN)/pytest --timeout 1500 tests/system

# The documentation's pictures of Airflow's UI, and the film of the demo. Check them before you commit them.
pictures: $(FULL)
	WRITE_PICTURES=1 $(BIN)/pytest --timeout 1500 tests/system/test_ui.py
	$(BIN)/python -m tests.film

# The long form of `make test`: all cases on both pairs, combinations and examples that the short form leaves out, and the
# tutorial in an empty environment. Fifty rounds take a quarter of an hour; CRASH_SEED repeats the moments of the kills.
test-long: export CRASH_ROUNDS ?= 50
test-long: export FAULT_MATRIX_LONG ?= 1
test-long: export HYPOTHESIS_PROFILE ?= long
test-long: $(FULL) $(FLOOR)
	@$(BIN)/python dev/interpreters.py say
	$(BIN)/pytest $(TESTS) --timeout 3600
	@$(call with_floor,--timeout 3600 -m 'not slow')
	$(BIN)/pytest --timeout 900 -n 2 --dist worksteal tests/browser tests/tutorial
	$(BIN)/pytest --timeout 7200 -s tests/system/test_crash.py tests/system/test_triggerers.py

# A day of the services in two hours, docs/soak.md. SOAK_MINUTES=10 for a short form; SOAK_SEED repeats the moments.
soak: $(READY)
	$(BIN)/python -m tests.soak

# SEED=7 repeats the moments of the stops; STALLED=tests/unit/core runs these tests only. What each run has printed is in build/stalls.
stalls: $(READY)
	$(BIN)/python -m dev.stalls --runs $(or $(RUNS),1) --seed $(or $(SEED),1) $(STALLED)

# CLUSTER_ROUNDS=50 for the long form; CLUSTER_SEED repeats the moments of the stops and kills.
test-cluster: $(CLUSTER)
	.venv-cluster/bin/pytest -s -v --timeout 900 tests/cluster

# Each target is fuzzed for SECONDS; TARGET=ldif is one of them, by default all. What is found is in build/fuzz.
fuzz: SECONDS ?= 600
fuzz: $(FUZZ)
	.venv-fuzz/bin/python -m tests.fuzz --seconds $(SECONDS) $(if $(TARGET),--target $(TARGET))

# The table of docs/benchmarks.md. The machine must be idle.
bench: $(READY)
	$(BIN)/python -m tests.benchmarks --write docs/benchmarks.md

# AREA=files for one area, SAMPLE=60 for a random sample of each, SEED=2 for another one. What was run is kept in
# build/mutants, so the command resumes where it was stopped; FRESH=1 begins from the start. WRITE=docs/mutants.md
# writes the page. It needs Python 3.12 or 3.13, which can say which lines a test runs.
mutants: $(READY)
	nice -n 15 $(BIN)/python -m dev.mutants --sample $(or $(SAMPLE),0) --seed $(or $(SEED),1) \
		$(if $(AREA),--area $(AREA)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(FRESH),--fresh) \
		$(if $(WRITE),--write $(WRITE))

$(UV):
	@$(PYTHON) dev/interpreters.py
	@echo "Building .venv with $$($(PYTHON) --version)"
	@{ $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet uv==$(UV_VERSION); } || { rm -rf .venv; exit 1; }

# The environment that the demo and the unit tests need.
$(READY): pyproject.toml constraints.txt | $(UV)
	$(INSTALL) --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The same, with what the documentation's site, the browser and a release need.
$(FULL): $(READY)
	$(INSTALL) --python $(BIN)/python --constraint constraints.txt --editable '.[dev,docs,release]'
	@touch $@

# Collecting the tests compiles all that they import once, which each process of the tests would else do.
$(COMPILED): $(READY)
	@$(BIN)/pytest --collect-only > /dev/null || true
	@touch $@

# The oldest supported pair. Without the interpreter a warning is printed and the pair is skipped; with CI=true the
# target fails.
$(FLOOR): pyproject.toml constraints-floor.txt | $(UV)
	@python=$$($(BIN)/python dev/interpreters.py 3.11) || { [ "$$CI" != true ] || exit 1; exit 0; }; \
	echo "Building .venv-floor with Python 3.11"; \
	$(BIN)/uv venv --quiet --clear --python "$$python" .venv-floor \
	&& $(INSTALL) --python .venv-floor/bin/python --constraint constraints-floor.txt --editable '.[dev]' \
	&& touch $@ && { .venv-floor/bin/pytest --collect-only > /dev/null || true; }

$(CLUSTER): pyproject.toml constraints.txt | $(READY)
	@echo "Building .venv-cluster"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-cluster
	@$(INSTALL) --python .venv-cluster/bin/python --constraint constraints.txt --editable '.[cluster]'
	@touch $@

$(FUZZ): pyproject.toml constraints.txt | $(READY)
	@echo "Building .venv-fuzz"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-fuzz
	@$(INSTALL) --python .venv-fuzz/bin/python --constraint constraints.txt --editable '.[fuzz]'
	@touch $@

define with_floor
	if [ -e $(FLOOR) ]; then \
		echo ".venv-floor/bin/pytest $(TESTS) $(1)"; $(GIVE_WAY) .venv-floor/bin/pytest $(TESTS) $(1); \
	else \
		echo; echo "!!!! NOT TESTED on Airflow 3.1.8 and Python 3.11: this machine lacks the interpreter !!!!"; echo; \
	fi
endef

# Update the pins: names and versions of the installed packages, without paths or addresses of this machine.
PIN := $(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --extra dev pyproject.toml
constraints: $(READY)
	$(PIN) --extra bill --extra cluster --extra docs --extra fuzz --extra release --universal --python-version 3.11 --upgrade --output-file constraints.txt
	echo apache-airflow==3.1.8 > .venv/floor.txt
	$(PIN) --python-version 3.11 --constraint .venv/floor.txt --exclude-newer 2026-03-25 --upgrade \
		--output-file constraints-floor.txt

clean: down
	rm -rf .venv .venv-* .airflow .chromium .mariadb .mosquitto .redis .postgres output .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find airflow_provider example_dags dev tests -name __pycache__ -prune -exec rm -rf {} +
