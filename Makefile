SHELL := /bin/bash
PY := .venv/bin/python
TEST_SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help setup test test-all demo demo-smoke lint

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

setup: ## make or finish .venv; PYTHON=python3.12 names another Python, MAX_JOBS=4 compiles on four cores
	@tools/setup_env.sh

test: setup ## the suite without the slow tests, at most ten minutes
	@timeout --foreground --signal=INT --kill-after=30 $(TEST_SECONDS) $(PY) -m pytest -m 'not slow' || { \
		status=$$?; [ $$status -ne 124 ] || echo 'make test: stopped after $(TEST_SECONDS) s' >&2; exit $$status; }

test-all: setup ## every test: wheel, pictures, small training runs
	@$(PY) -m pytest

demo: setup ## pretraining on made metal surfaces, against the same training without it; about 15 minutes
	@$(PY) tools/demo.py

demo-smoke: setup ## the same in small, to see that everything runs
	@$(PY) tools/demo.py --smoke

lint: setup ## style
	@$(PY) -m ruff --version >/dev/null 2>&1 || $(PY) -m pip install --quiet -r requirements/lint.txt
	@$(PY) -m ruff check .
