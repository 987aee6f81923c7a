# `make live` and `make test` set up everything on a machine with Python and make; a second call is quick.
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PARALLEL ?= not jack
SETUP := pyproject.toml constraints.txt tools/environment.sh

.PHONY: help live test test-all lint types docs bench

help: ## lists these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | while read -r target words; do printf '  make %-8s %s\n' "$$target" "$$words"; done

live: $(VENV)/.drumvae ## installs what plays, and plays the demo
	$(BIN)/drumvae-live --demo

test: $(VENV)/.drumvae-dev ## installs everything, and runs the fast tests: about a minute
	$(BIN)/pytest -n auto -m "not slow" $(ARGS)

test-all: $(VENV)/.drumvae-dev ## runs every test: training, export, real ports, the data set
	$(BIN)/pytest -n auto -m "$(PARALLEL)" $(ARGS)
	$(BIN)/pytest -m jack $(ARGS)

lint: $(VENV)/.drumvae-dev ## checks style and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/lint_imports.py

types: $(VENV)/.drumvae-dev ## checks the types
	$(BIN)/mypy

docs: $(VENV)/.drumvae-dev ## builds the documentation in site/
	$(BIN)/python docs/bundle_tables.py --check
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.drumvae-dev ## prints speeds beside something to compare them with
	@for file in $(filter-out %/soak.py %/sleepers.py %/parity.py,$(wildcard benchmarks/[a-z]*.py)); do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

$(VENV)/.drumvae: $(SETUP)
	sh tools/environment.sh "$(VENV)"

$(VENV)/.drumvae-dev: $(SETUP)
	sh tools/environment.sh "$(VENV)" dev
