SHELL := /bin/bash
PY := .venv/bin/python
TEST_SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help setup test test-all demo demo-smoke zoo lint types docs

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

setup: ## make or finish .venv; PYTHON=python3.12 names another Python, MAX_JOBS=4 compiles on four cores
	@tools/setup_env.sh

test: setup ## the suite without the slow tests, at most ten minutes
	@OMP_NUM_THREADS=1 timeout --foreground --signal=INT --kill-after=30 $(TEST_SECONDS) \
		$(PY) -m pytest -n 2 --dist loadfile -m 'not slow' || { \
		status=$$?; [ $$status -ne 124 ] || echo 'make test: stopped after $(TEST_SECONDS) s' >&2; exit $$status; }

test-all: setup ## every test: wheel, pictures, small training runs
	@$(PY) -m pytest

demo: setup ## pretraining on made metal surfaces, against the same training without it; about 15 minutes
	@$(PY) tools/demo.py

demo-smoke: setup ## the same in small, to see that everything runs
	@$(PY) tools/demo.py --smoke

# Some detectors need packages that would not agree with the others in .venv; this run alone sees them.
zoo: setup ## pretrain one member of every family of MMDetection's detectors; resumes; about half an hour
	@mkdir -p work_dirs/zoo
	@cmp -s requirements/zoo.txt work_dirs/zoo/packages/installed.txt || { rm -rf work_dirs/zoo/packages && \
		$(PY) -m pip install --quiet --no-deps --no-build-isolation --target work_dirs/zoo/packages \
		-r requirements/zoo.txt && cp requirements/zoo.txt work_dirs/zoo/packages/installed.txt; }
	@PYTHONPATH=$(CURDIR)/work_dirs/zoo/packages:$(CURDIR):$$PYTHONPATH $(PY) tools/zoo_sweep.py

lint: setup ## style and spelling
	@$(PY) -m ruff check .
	@$(PY) -m codespell_lib

types: setup ## type hints
	@$(PY) -m mypy

docs: setup ## the documentation as a site in work_dirs/site
	@PYTHONPATH=$(CURDIR) $(PY) -m mkdocs build --strict
