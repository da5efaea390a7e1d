# `make help` lists what there is to do. Everything happens in .venv; nothing needs root.

PYTHON ?=
PYTEST_ARGS ?=
LOCK_ARGS ?=

BIN := .venv/bin
# A stamp is named after what the locks say: a changed lock installs, an unchanged one costs nothing.
LOCKS := $(shell cat requirements.txt requirements-dev.txt | cksum | cut -d ' ' -f 1)
RUNTIME := .venv/.runtime-$(LOCKS)
TOOLS := .venv/.tools-$(LOCKS)

.PHONY: help run test check bench lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*  ## /  make \1\t/p' Makefile | expand -t 16

run: $(RUNTIME)  ## install, migrate, print the set-up link and a sample key, serve
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py welcome
	@exec $(BIN)/python manage.py serve

test: check  ## check, then run the whole suite
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(PYTEST_ARGS)

check: $(TOOLS)  ## formatting, lint, types, import directions, templates
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy .
	$(BIN)/lint-imports
	$(BIN)/djlint --check --lint templates

bench: $(TOOLS)  ## the benchmark: prints its table
	$(BIN)/python -m tests.bench

lock: $(TOOLS)  ## lock requirements*.in again; LOCK_ARGS=--upgrade takes newer versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		$(LOCK_ARGS) requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		$(LOCK_ARGS) requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		$(LOCK_ARGS) requirements-clients.in -o requirements-clients.txt

clean:  ## remove .venv and caches; data/ stays
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@scripts/make_venv "$(PYTHON)"

$(RUNTIME): $(BIN)/python
	@echo 'Installing what the gateway runs on ...'
	@scripts/install requirements.txt
	@rm -f .venv/.runtime-* .venv/.tools-*
	@touch $@

$(TOOLS): $(BIN)/python
	@echo 'Installing what the gateway runs on and its tests need ...'
	@scripts/install requirements.txt requirements-dev.txt
	@rm -f .venv/.runtime-* .venv/.tools-*
	@touch $(RUNTIME) $@
