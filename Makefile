# `make help` lists what there is to do. Everything happens in .venv; nothing needs root.

PYTHON ?=
PYTEST_ARGS ?=
LOCK_ARGS ?=

BIN := .venv/bin
# A stamp is named after what the locks say: a changed lock installs, an unchanged one costs nothing.
LOCKS := $(shell cat requirements.txt requirements-dev.txt | cksum | cut -d ' ' -f 1)
RUNTIME := .venv/.runtime-$(LOCKS)
TOOLS := .venv/.tools-$(LOCKS)
CLIENTS := .venv-clients/.installed-$(shell cksum <requirements-clients.txt | cut -d ' ' -f 1)
# npm writes these last of all; an unchanged package-lock.json costs nothing.
NODE_CLIENTS := $(patsubst %,tests/clients/%/node_modules/.package-lock.json,js agents)

.PHONY: help run test check clients bench lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*  ## /  make \1\t/p' Makefile | expand -t 16

run: $(RUNTIME)  ## install, migrate, print the set-up link and a sample key, serve
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py welcome
	@exec $(BIN)/python manage.py serve

test: check $(CLIENTS) $(NODE_CLIENTS)  ## check, then run the whole suite
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(PYTEST_ARGS)

clients: $(CLIENTS) $(NODE_CLIENTS)  ## real clients against a real gateway: prints the table client x case
	@$(BIN)/python -m tests.clients $(PYTEST_ARGS)

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
	rm -rf .venv .venv-clients .mypy_cache .ruff_cache .import_linter_cache .hypothesis tests/clients/*/node_modules
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

$(CLIENTS): | $(TOOLS)
	@echo 'Installing the Python clients that need an environment of their own ...'
	@VENV=.venv-clients scripts/install requirements-clients.txt
	@touch $@

tests/clients/%/node_modules/.package-lock.json: tests/clients/%/package-lock.json | $(TOOLS)
	@echo 'Installing the clients of $(<D) ...'
	@cd $(<D) && '$(CURDIR)/$(BIN)/npm' ci --ignore-scripts --loglevel error
	@touch $@
