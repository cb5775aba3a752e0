# make search   installs what is missing and runs the default search
# make test     the same set-up, then lint, types and tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: search test check lint types tests setup setup-dev clean

search: setup
	@$(BIN)/python -m search.run $(ARGS)

test: check

# Types are checked while tests wait.
check: lint
	@$(MAKE) --no-print-directory --jobs 2 types tests

lint: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo

types: setup-dev
	$(BIN)/pyright

# Four processes on two cores: while one waits for a Ray to start, the others train. Bytecode is kept,
# whatever the environment says: each test process would rewrite and compile all tests again.
tests: setup-dev
	MAKEFLAGS= PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml constraints.txt deploy/install.sh
	@PYTHON=$(PYTHON) sh deploy/install.sh $(VENV) .

$(VENV)/.installed-dev: pyproject.toml constraints.txt deploy/install.sh
	@PYTHON=$(PYTHON) sh deploy/install.sh $(VENV) ".[dev]"
	@touch $(VENV)/.installed

clean:
	rm -rf $(VENV) build *.egg-info
