# `make help` lists the targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODE := src tests bench release
# Where it is set, each process that a test starts would compile all of src again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(VENV)
ifdef LOCK
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
else
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
endif
	@touch $@

venv: $(STAMP) ## set up .venv with every extra and the test tools [LOCK=requirements/ci.txt]

demo: $(STAMP) ## the simulator and the daemon against it; Ctrl-C ends it
	@$(BIN)/queuetick demo

test: $(STAMP) ## the unit and integration tests, one worker for each core [COVERAGE=yes]
ifdef COVERAGE
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest --numprocesses auto; tests=$$?; \
	find . -maxdepth 1 -name '.coverage.*' -size 0 -delete; \
	$(BIN)/python -m coverage combine --quiet; \
	$(BIN)/python -m coverage report && exit $$tests
else
	$(BIN)/python -m pytest --numprocesses auto
endif

test-fast: $(STAMP) ## the tests that start no process of their own, in about 40 s on two cores
	$(BIN)/python -m pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) * 3 / 2)) -m 'not slow and not pipelines and not system and not process'

test-slow: $(STAMP) ## what takes longer: long runs in virtual time, a real Prometheus, silent name servers
	$(BIN)/python -m pytest --numprocesses auto --dist loadgroup -m slow -rs

bench: $(STAMP) ## what a cycle costs, against the plain SDK and a bare loop; the line writer; the simulator
	$(BIN)/python bench/cycle.py
	$(BIN)/python bench/lines.py
	$(BIN)/python bench/simulator.py
	$(BIN)/python bench/watch.py

docs: $(STAMP) ## regenerate docs/events.md from the types
	$(BIN)/python release/events_page.py > docs/events.md

docs-site: $(STAMP) ## the pages as a site in build/site; a broken link or anchor fails it
	$(BIN)/python -m mkdocs build --quiet --strict

pictures: $(STAMP) ## regenerate docs/img from a simulated hour; the dashboard's needs prometheus and promtool
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/dashboard.py

format: $(STAMP) ## ruff's formatting and the fixes that it is sure of
	$(BIN)/ruff check --fix --exit-zero --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

lint: $(STAMP) lint-docs ## ruff, mypy --strict, the import rules of the rooms, and the words of pages and messages
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-docs: $(STAMP) ## spelling, and words that this project avoids in pages and messages
	$(BIN)/codespell src bench release docs deploy *.md
	$(BIN)/python release/prose.py

clean: ## remove what make made
	rm -rf $(VENV) build dist mutants .coverage* htmlcov .hypothesis .pytest_cache .mypy_cache .ruff_cache

.PHONY: help venv demo test test-fast test-slow bench docs docs-site pictures format lint lint-docs clean

# --- for administrators: deploy/, docs/operations.md ------------------------------------------------------------------
install: ## install or upgrade the service on this machine: sudo make install [FROM=WHEEL] [START=yes]
	@START='$(START)' deploy/install/install $(FROM)

uninstall: ## remove the service: sudo make uninstall [PURGE=yes]
	@PURGE='$(PURGE)' deploy/install/uninstall

deb: completions man ## build dist/queuetick_*.deb and queuetick-tools_*.deb for Debian 12, 13 and Ubuntu 24.04
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

# --- releases and what they stand on: docs/dev/supply-chain.md -------------------------------------------------------------
TOOLS := build/tools
$(TOOLS)/.installed: requirements/tools.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --requirement requirements/tools.txt
	@touch $@

# The time of the last commit: two builds of one commit are the same bytes.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1767225600)

wheel: $(TOOLS)/.installed ## build sdist and wheel into dist/
	rm -f dist/queuetick-*.whl dist/queuetick-*.tar.gz
	$(TOOLS)/bin/python -m build --outdir dist

completions: $(STAMP) ## write tab completion for bash, zsh and fish to dist/completions
	$(BIN)/python release/completions.py dist/completions

man: $(STAMP) ## write the manual page to dist/man/queuetick.1
	mkdir -p dist/man
	$(BIN)/python release/manpage.py > dist/man/queuetick.1

sbom: $(TOOLS)/.installed ## write what a server installs, as CycloneDX, to dist/
	@mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml \
	    --output-file dist/queuetick.cdx.json requirements/run.txt

release: wheel sbom deb ## wheel, sdist, Debian packages, SBOM and SHA256SUMS in dist/
	cd dist && sha256sum *.whl *.tar.gz *.deb *.cdx.json > SHA256SUMS
	@cat dist/SHA256SUMS

test-release: wheel ## the wheel by pip, pipx and uv, and the fast tests, on 3.11 to 3.14 [PYTHONS="3.12 ..."] [TESTS=no] [JOBS=2]
	TESTS=$(TESTS) JOBS=$(JOBS) $(TOOLS)/bin/python release/try_wheel.py $(PYTHONS)

test-lowest: $(STAMP) ## the core tests on the lowest declared versions of the core dependencies
	rm -rf build/lowest && $(PYTHON) -m venv build/lowest
	$(BIN)/python release/lowest.py > build/lowest/constraints.txt
	build/lowest/bin/python -m pip install --quiet --constraint build/lowest/constraints.txt \
	    '.[simulator]' pytest pytest-randomly hypothesis jsonschema
	build/lowest/bin/python -m pip freeze --exclude queuetick
	build/lowest/bin/python -m pytest tests/end_to_end/test_end_to_end.py tests/genesys/test_sdk.py tests/genesys/test_queries.py

COMPILE = $(TOOLS)/bin/uv pip compile pyproject.toml --universal --python-version 3.11 $(UPGRADE) \
    --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet

lock: $(TOOLS)/.installed ## pin every version and hash: tests in requirements/ci.txt, servers in run*.txt [UPGRADE=--upgrade]
	$(COMPILE) --extra dev --output-file requirements/ci.txt
	$(COMPILE) --extra metrics --constraint requirements/ci.txt --output-file requirements/run.txt
	$(COMPILE) --extra simulator --extra viewers --constraint requirements/run.txt \
	    $$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package \1/p' requirements/run.txt) \
	    --output-file requirements/run-tools.txt

MUTATION := build/mutation
$(MUTATION)/.installed: requirements/ci.txt requirements/mutation.txt
	$(PYTHON) -m venv $(MUTATION)
	$(MUTATION)/bin/python -m pip install --quiet --require-hashes --requirement requirements/ci.txt
	$(MUTATION)/bin/python -m pip install --quiet --requirement requirements/mutation.txt
	$(MUTATION)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

mutation: $(MUTATION)/.installed ## change the core in small ways and see that a test fails: docs/dev/mutation.md (an hour)
	rm -rf mutants
	nice -n 15 $(MUTATION)/bin/mutmut run --max-children 2
	$(MUTATION)/bin/python release/mutants.py

licences: $(STAMP) ## regenerate docs/dev/licences.md from the installed packages
	$(BIN)/python release/licences.py > docs/dev/licences.md

audit: $(TOOLS)/.installed ## look for known vulnerabilities of what is locked (needs PyPI's JSON API)
	$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/ci.txt

.PHONY: release wheel sbom completions man test-release test-lowest lock licences audit mutation
