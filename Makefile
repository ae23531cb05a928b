# Everything a developer or CI does, by name. `make help` lists it.
PYTHON ?= python3.11
VENV   ?= .venv
BIN     = $(VENV)/bin
LOCKS   = requirements/build.txt requirements/runtime.txt requirements/example.txt requirements/dev.txt

.DEFAULT_GOAL := help
.PHONY: help init proto lint type layers check fmt test bench demo lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

init: $(VENV)/.ready ## set up .venv with everything locked

$(VENV)/.ready: $(LOCKS) requirements/vlmeval.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes $(addprefix -r ,$(LOCKS))
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/vlmeval.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

proto: init ## regenerate services/assay/v1 from proto/
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -Iproto --python_out=services --mypy_out=quiet:services --grpc_python_out=services --mypy_grpc_out=quiet:services proto/assay/v1/*.proto

proto-check: proto ## fail when the committed stubs are not what proto/ says
	git diff --exit-code -- services/assay/v1

fmt: init ## format
	$(BIN)/ruff format services tests bench examples
	$(BIN)/ruff check --fix-only -q services tests bench examples

lint: init ## style and habits
	$(BIN)/ruff format --check services tests bench examples
	$(BIN)/ruff check services tests bench examples

type: init ## strict types
	$(BIN)/mypy

layers: init ## who may import whom
	$(BIN)/lint-imports --no-cache

check: lint type layers proto-check ## everything that needs no run
