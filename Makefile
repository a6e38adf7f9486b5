# Two commands for a fresh Debian machine: `make demo` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: help setup demo test unit lint fuzz bench interrupt bypass docs build clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml tests/prepare
	tests/prepare $(VENV)
	touch $@

setup: $(VENV)/ready ## Install what the tests and the demo need (Debian packages as root, Python packages in .venv)

demo: $(VENV)/ready ## A real WordPress under a real flood: probe, harden, verify, roll back and back again (three minutes once the image is built)
	$(PY) molecule/demo.py

# Three files of tests at a time, whatever the number of processors: a test that has a host waits half its time.
test: $(VENV)/ready ## Run every test: linters, unit tests on the oldest and newest Python, real hosts, Molecule scenarios
	$(VENV)/bin/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

unit: $(VENV)/ready ## Run the tests that need no host
	$(VENV)/bin/pytest tests/unit

lint: $(VENV)/ready ## Run the linters and type checks only
	$(VENV)/bin/pytest tests/lint

fuzz: $(VENV)/ready ## Feed the log scanner ten million hostile lines, and search on where the suite's properties end (half an hour)
	$(PY) tests/fuzz/access_log.py
	$(VENV)/bin/pytest tests/unit --hypothesis-profile=search -m hypothesis

bench: $(VENV)/ready ## Measure every figure that the README quotes
	$(PY) bench/flood.py
	$(PY) bench/scan.py
	$(PY) bench/probe.py
	$(PY) bench/bans.py
	$(PY) bench/capacity.py
	$(PY) bench/database.py
	$(PY) bench/first_refusal.py
	$(PY) bench/triage.py
	$(PY) bench/fleet.py

interrupt: $(VENV)/ready ## Interrupt incident.yml at ten points in three ways on three hosts, and look what is left (two hours)
	$(PY) bench/interruptions.py

bypass: $(VENV)/ready ## Ask every form of every request on every layout, and write docs/bypass.md
	$(PY) bench/bypass.py

docs: $(VENV)/ready ## Generate the reference under docs/ from the modules' and roles' own specifications
	$(PY) docs/generate.py

build: $(VENV)/ready ## Build the wheel
	$(PY) -m build --wheel

clean: ## Remove the test hosts and what was built in this checkout (the image cache stays)
	-$(PY) molecule/testbed/__main__.py down --all
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache
