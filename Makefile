# `make help` lists the targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

venv: $(STAMP) ## set up .venv with every extra and the test tools

demo: $(STAMP) ## the simulator and the daemon against it; Ctrl-C ends it
	@$(BIN)/queuetick demo

test: $(STAMP) ## the unit and integration tests
	$(BIN)/python -m pytest

test-slow: $(STAMP) ## what takes longer than ten seconds each: long runs, the official SDKs
	$(BIN)/python -m pytest -m slow -rs

bench: $(STAMP) ## what a cycle costs, against the plain SDK and a bare loop; the line writer; the simulator
	$(BIN)/python bench/cycle.py

docs: $(STAMP) ## regenerate docs/events.md from the types
	$(BIN)/python -m queuetick.schema > docs/events.md

lint: $(STAMP) ## ruff and mypy --strict
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy

clean: ## remove what make made
	rm -rf $(VENV) build dist .coverage* htmlcov .hypothesis .pytest_cache .mypy_cache .ruff_cache

.PHONY: help venv demo test test-slow bench docs lint clean

# --- for administrators: deploy/, docs/operations.md ------------------------------------------------------------------
install: ## install or upgrade the service on this machine: sudo make install [FROM=WHEEL] [START=yes]
	@START='$(START)' deploy/install/install $(FROM)

uninstall: ## remove the service: sudo make uninstall [PURGE=yes]
	@PURGE='$(PURGE)' deploy/install/uninstall

deb: ## build dist/queuetick_*.deb for Debian 12
	@deploy/debian/build $(FROM)

test-system: $(STAMP) ## the service in a booted systemd (root, systemd-container); names what it could not run
	$(BIN)/python -m pytest -m system -vv -rs --durations=8 tests/system

.PHONY: install uninstall deb test-system

# --- metrics: docs/metrics.md ----------------------------------------------------------------------------------------
test-metrics: $(STAMP) ## tests/metrics with a real Prometheus scraping the daemon (apt-get install prometheus)
	$(BIN)/python -m pytest -m 'slow or not slow' -rs tests/metrics

bench-metrics: $(STAMP) ## what observing a cycle and one scrape cost for 1,500 queues
	$(BIN)/python bench/metrics.py

.PHONY: test-metrics bench-metrics

test-pipelines: $(STAMP) ## the real shippers, lnav and docs/tailing.md on real output (root, Debian)
	$(BIN)/python -m pip install --quiet --requirement tests/pipelines/requirements.txt
	$(BIN)/python -m pytest -m pipelines -rs tests/pipelines

.PHONY: test-pipelines

# --- reliability: docs/reliability.md ---------------------------------------------------------------------------------
chaos: $(STAMP) ## 2,000 cycles against a hostile simulator; the accounting law must hold (CHAOS_CYCLES)
	@PYTHONPATH=tests $(BIN)/python bench/chaos.py

soak: $(STAMP) ## half an hour of cycles; memory, descriptors and threads must be flat (SOAK_SECONDS)
	@PYTHONPATH=tests $(BIN)/python bench/soak.py

bench-lateness: $(STAMP) ## lateness of ticks and length of cycles at 5,000 and 1,500 queues (BENCH_CYCLES)
	@PYTHONPATH=tests $(BIN)/python bench/lateness.py

.PHONY: chaos soak bench-lateness
