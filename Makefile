# `make live` and `make test` set up everything on a machine with Python and make; a second call is quick.
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
SETUP := pyproject.toml constraints.txt tools/environment.sh

.PHONY: help live test lint types bench

help: ## lists these targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | while read -r target words; do printf '  make %-6s %s\n' "$$target" "$$words"; done

live: $(VENV)/.drumvae ## installs what plays, and plays the demo
	$(BIN)/drumvae-live --demo

test: $(VENV)/.drumvae-dev ## installs everything, and runs the tests
	$(BIN)/pytest $(ARGS)

lint: $(VENV)/.drumvae-dev ## checks style and layout of the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.drumvae-dev ## checks the types
	$(BIN)/mypy

bench: $(VENV)/.drumvae-dev ## prints speeds beside something to compare them with
	@for file in $(filter-out %/soak.py %/sleepers.py %/parity.py,$(wildcard benchmarks/[a-z]*.py)); do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

$(VENV)/.drumvae: $(SETUP)
	sh tools/environment.sh "$(VENV)"

$(VENV)/.drumvae-dev: $(SETUP)
	sh tools/environment.sh "$(VENV)" dev
