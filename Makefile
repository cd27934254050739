# Every habit of the house is a target; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first interpreter that runs, is new enough and can make an environment. A distribution's own comes first: those
# are built with profile-guided optimisation, which a version manager leaves out, and take a sixth less time for a run.
PYTHON ?= $(or $(shell for p in /usr/bin/python3.11 python3.11 python3; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; \
	done),python3.11)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP := .venv/bin/python -m pip --quiet
RUN := .venv/.ready-run
DEV := .venv/.ready-dev
BENCH := .venv-bench/.ready
CHECKED := labctl drivers simulators tests examples

.PHONY: help setup demo test test-browser test-mbpoll test-clients hil hil-short mutants fuzz schedules chaos chaos-short chaos-full docs lint format coverage bench wheel lock clean

help:  ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# One environment. The demo needs the run-time lock only; everything else adds the tools on top of it.
.venv/bin/python:
	$(PYTHON) -m venv .venv

$(RUN): requirements.lock pyproject.toml | .venv/bin/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@

$(DEV): requirements-dev.lock $(RUN)
	$(PIP) install --require-hashes -r requirements-dev.lock
	touch $@

# GPL-licensed peers and clients live apart from the product.
$(BENCH): requirements-bench.lock
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip --quiet install --require-hashes -r requirements-bench.lock
	touch $@

setup: $(DEV)  ## Set up .venv with the product and every tool

demo: $(RUN)  ## Run a synthesis on simulated instruments
	.venv/bin/labctl demo

test: $(DEV)  ## Run the tests
	.venv/bin/python -m pytest -q

test-browser: $(DEV)  ## Open a report in a browser (needs chromium on the path)
	.venv/bin/python -m pytest -q -m browser tests/browser

test-mbpoll: $(DEV)  ## Poll the simulators with mbpoll (needs it on the path)
	.venv/bin/python -m pytest -q -m mbpoll tests/strangers

test-clients: $(DEV) $(BENCH)  ## Let published clients of others drive the simulators
	.venv/bin/python -m pytest -q -m clients tests/strangers

hil: $(DEV)  ## Run over real wires: the paper's protocol in lock-step, every stage at 20 times real time (20 min)
	.venv/bin/python -m pytest -q -s -m "hil or not hil" tests/hil

hil-short: $(DEV)  ## Run a short form of both tiers of hil (five minutes)
	LABCTL_HIL_SPEED=8 .venv/bin/python -m pytest -q -s -m "hil or not hil" -k short tests/hil

chaos: $(DEV)  ## Try 300 seeds of faults on every stage, judged by an independent observer (5 to 10 min)
	.venv/bin/labctl chaos --seeds 300

chaos-short: $(DEV)  ## Try 24 seeds (a minute)
	.venv/bin/labctl chaos --seeds 24

chaos-full: $(DEV)  ## Try 3,000 seeds (an hour or two)
	.venv/bin/labctl chaos --seeds 3000

schedules: $(DEV)  ## Try 200 random schedules of two runs on one bench (five minutes)
	.venv/bin/python -m tests.acceptance.schedules 200

fuzz: $(DEV)  ## Try 100,000 seeded documents that nobody would write (half an hour)
	.venv/bin/python -m tests.fuzz --documents 100000 --seed 1

mutants: $(DEV)  ## Delete and invert every declared guard and safe-state item; the safety tests must notice
	.venv/bin/python -m tests.safety

docs: $(DEV)  ## Renew the pages under docs/ that are made from the code
	.venv/bin/python -m tests.docs

lint: $(DEV)  ## Check style, format, types and import walls
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy $(CHECKED)
	.venv/bin/lint-imports --no-logo

format: $(DEV)  ## Format the code and apply safe fixes
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

# What `make mutants` mutates, and what carries it out: every branch of it is tried.
ENGINE := labctl/engine
SAFETY := $(ENGINE)/guards/*,$(ENGINE)/safe.py,$(ENGINE)/procedure.py,$(ENGINE)/permissives.py,$(ENGINE)/machine.py,$(ENGINE)/alarms.py,$(ENGINE)/supervisor.py,$(ENGINE)/returns.py,$(ENGINE)/relief.py,$(ENGINE)/reserve.py,labctl/model/limits.py
coverage: $(DEV)  ## Run the tests; fail when branches of labctl/engine stay untried
	.venv/bin/coverage run -m pytest -q
	.venv/bin/coverage report
	.venv/bin/coverage report --include='$(SAFETY)' --fail-under=100

bench: $(DEV) $(BENCH)  ## Measure labctl against its peers
	.venv/bin/python -m tests.bench

# Run from an empty folder, so that nothing of the repository can stand in for what the wheel lacks.
wheel: $(RUN)  ## Build the wheel, install it in a clean environment, run the demo there
	rm -rf dist build/wheel-venv
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	$(PYTHON) -m venv build/wheel-venv
	build/wheel-venv/bin/python -m pip --quiet install --require-hashes -r requirements.lock
	build/wheel-venv/bin/python -m pip --quiet install --no-deps dist/*.whl
	elsewhere=$$(mktemp -d /tmp/labctl-wheel.XXXXXX) && trap 'rm -rf "$$elsewhere"' EXIT && \
		cd "$$elsewhere" && env -u PYTHONPATH $(CURDIR)/build/wheel-venv/bin/labctl demo

# The build backend is locked too: set-up installs the project without build isolation.
LOCK := uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-header --no-annotate
lock:  ## Renew the locks (needs uv on the path; pass UPGRADE=--upgrade to move versions)
	$(LOCK) $(UPGRADE) pyproject.toml <(echo hatchling) -o requirements.lock
	$(LOCK) $(UPGRADE) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) $(UPGRADE) requirements-bench.in -o requirements-bench.lock
	! grep -n '://' requirements*.lock

clean:  ## Remove environments, builds and caches
	rm -rf .venv .venv-bench build dist .coverage .coverage.* htmlcov .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
