# make run     train the default model, export it, check and time the exports
# make test    run the tests
# make faults  run the tests that take minutes: kills, mutants, hostile files, all of what `make test` samples
# make lint    check style and types
# make vulnerabilities  is one known of the pinned packages?

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test faults lint vulnerabilities

run: .venv/installed-all
	$(BIN)/python -m mnist_edge.train
	$(BIN)/python -m export
	$(BIN)/python -m benchmarks --min-accuracy 0.98 --require all

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

faults: .venv/installed-dev
	$(BIN)/python -m pytest -m long

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy

vulnerabilities: .venv/installed-dev
	$(BIN)/python .ci/vulnerabilities.py constraints.txt

.venv/installed-%: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing packages into .venv, a minute or two"
	$(INSTALL) -e '.[$*]'
	touch $@
