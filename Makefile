# Everything a developer or CI does, by name. `make help` lists it.
PYTHON ?= python3.11
VENV   ?= .venv
BIN     = $(VENV)/bin
PIP     = $(BIN)/python -m pip install -q --disable-pip-version-check --no-warn-conflicts --no-compile
CODE    = services tests bench examples images
RUN_LOCKS = requirements/build.txt requirements/runtime.txt requirements/example.txt
# Extra words for pytest: make test TESTS='tests/unit -k seal'
TESTS  ?=
# make lock UPGRADE=--upgrade takes newer versions; without it only what changed is resolved anew.
UPGRADE ?=
UV      = build/uv/bin/uv
# make tools TOOLS=minio builds one of them.
TOOLS  ?=
BINARIES = PYTHONPATH=tests $(BIN)/python -m support.binaries
CLUSTER  = PYTHONPATH=tests:. $(BIN)/python -m cluster.onenode
VERSION  = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# make images IMAGES="worker judge" builds those.
IMAGES ?=
BASE   ?= python:3.11-slim-bookworm
CLUSTER_IMAGES = worker judge control scorer digits
# make images REGISTRY=registry.example/team builds for that registry and pushes; test-cluster takes them from there.
REGISTRY ?=
PUSHED  = $(if $(REGISTRY),--registry $(REGISTRY)/assay --push)
COMPILE = $(UV) pip compile -q --generate-hashes --no-emit-index-url --no-header --no-annotate --universal --python-version 3.11 $(UPGRADE)

.DEFAULT_GOAL := help
.PHONY: help init tools images cluster-up cluster-down test-cluster local demo-local test-engines demo test check lint type layers rules proto proto-check fmt bench lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

init: $(VENV)/.ready ## set up .venv with everything locked

# What `assay` itself and the example need; the tools of a developer come on top in .ready.
$(VENV)/.runs: $(RUN_LOCKS) requirements/vlmeval.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON) here; install Python 3.11, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "error: $(PYTHON) cannot make a virtual environment (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "setting up $(VENV)"
	@$(PIP) --require-hashes $(addprefix -r ,$(RUN_LOCKS))
	@# VLMEvalKit's own list asks for torch and 6 GB more, which scoring does not compute with.
	@$(PIP) --require-hashes --no-deps -r requirements/vlmeval.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@# On all cores, which pip would do on one. A sealed child cannot write what it compiles, so it must be there.
	@$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib >/dev/null || true
	@touch $@

$(VENV)/.ready: $(VENV)/.runs requirements/dev.txt
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

tools: init ## build the servers that tests run against, once, into a cache outside the tree
	@$(BINARIES) $(TOOLS)

images: init ## build every container image; BASE=local where no registry can be reached
	@nice -n 5 $(BIN)/python -m images.build --base $(BASE) $(PUSHED) $(IMAGES)

cluster-up: init ## start a real Kubernetes on this machine, in a network of its own (root, Linux)
	@$(CLUSTER) up

test-cluster: init ## run the tests that need one; KUBECONFIG and REGISTRY: on that cluster, images pushed there
ifdef KUBECONFIG
	@test -n "$(REGISTRY)" || { echo "error: the cluster of KUBECONFIG pulls images: REGISTRY=host/path" >&2; exit 2; }
	@nice -n 5 $(BIN)/python -m images.build --base $(BASE) --registry $(REGISTRY)/assay --push $(CLUSTER_IMAGES)
	@PYTHONPATH=tests:. $(BIN)/python -m support.cluster_registry $(REGISTRY)
	@ASSAY_TEST_REGISTRY=$(REGISTRY) $(CLUSTER) enter $(BIN)/pytest tests/cluster $(TESTS)
else
	@nice -n 5 $(BIN)/python -m images.build --base $(BASE) $(CLUSTER_IMAGES)
	@$(CLUSTER) up
	@$(CLUSTER) load $(addprefix localhost/assay/,$(addsuffix :$(VERSION),$(CLUSTER_IMAGES)))
	@$(CLUSTER) enter $(BIN)/pytest tests/cluster $(TESTS)
endif

cluster-down: $(VENV)/.ready ## take it away
	@$(CLUSTER) down

LOCAL_LOCKS  = requirements/local.txt requirements/vlmeval.txt
LOCAL        = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/assay-local/$(shell cat $(LOCAL_LOCKS) | sha256sum | cut -c1-16)
LOCAL_PYTHON = $(LOCAL)/bin/python

local: $(LOCAL)/.complete ## make the environment for local models (torch, 5 GB, once) and print its interpreter
	@echo $(LOCAL_PYTHON)

# Outside the tree, since clones may share it; uv links files where pip would copy gigabytes.
$(LOCAL)/.complete: | $(UV)
	@echo "setting up $(LOCAL)" >&2
	@$(UV) venv -q --clear --python $(PYTHON) $(LOCAL)
	@$(UV) pip install -q --python $(LOCAL_PYTHON) --require-hashes -r requirements/local.txt
	@$(UV) pip install -q --python $(LOCAL_PYTHON) --require-hashes --no-deps -r requirements/vlmeval.txt
	@touch $@

test-engines: init $(LOCAL)/.complete ## run the tests with real engines and models (gigabytes, minutes)
	@ASSAY_TEST_ENGINES=1 ASSAY_LOCAL_PYTHON=$(LOCAL_PYTHON) $(BIN)/pytest -q -s tests/engines $(TESTS)

demo-local: $(VENV)/.runs $(LOCAL)/.complete ## evaluate a tiny vision-language model in process, on the processor
	@ASSAY_LOCAL_PYTHON=$(LOCAL_PYTHON) $(BIN)/python examples/tiny-vlm/demo.py

demo: $(VENV)/.runs ## evaluate a real classifier on real handwritten digits
	@$(BIN)/python examples/digits/demo.py

test: init ## run every test that this machine can run
	@echo "Nothing is left out by choice. What could not run here stands at the end as SKIPPED, with its reason."
	@# Minutes the first time; what cannot be built, or not in time, has the tests that need it skipped, and they say so.
	@timeout --kill-after=10 1500 env $(BINARIES) minio helm etcd kubernetes prometheus-operator || true
	@# Those of the cluster come last, in the same session, which starts one and takes it away.
	@ASSAY_TEST_CLUSTER=start $(BIN)/pytest $(TESTS)

check: lint type layers rules proto-check ## everything that needs no run

lint: init ## style and habits
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)

type: init ## strict types
	@$(BIN)/mypy

layers: init ## who may import whom
	@$(BIN)/lint-imports --no-cache

rules: init ## the house rules, and locks that fit what they lock
	@$(BIN)/pytest -q tests/unit/test_house_rules.py tests/unit/test_house_locks.py

proto: init ## regenerate services/assay/v1 from proto/
	@PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -Iproto --python_out=services --mypy_out=quiet:services --grpc_python_out=services --mypy_grpc_out=quiet:services proto/assay/v1/*.proto

proto-check: proto ## fail when the committed stubs are not what proto/ says
	@git diff --exit-code -- services/assay/v1

fmt: init ## format
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix-only -q $(CODE)

bench: init ## measure against VLMEvalKit and a bare client (minutes; no test)
	@$(BIN)/python bench/run.py
	@$(BIN)/python bench/judging.py

# runtime first: the others may not disagree with it.
lock: $(UV) ## resolve requirements/*.txt anew from pyproject.toml and requirements/*.in
	@$(COMPILE) requirements/build.in -o requirements/build.txt
	@$(COMPILE) -c requirements/build.txt pyproject.toml requirements/scoring.in -o requirements/runtime.txt
	@$(COMPILE) -c requirements/build.txt -c requirements/runtime.txt requirements/example.in -o requirements/example.txt
	@$(COMPILE) -c requirements/build.txt -c requirements/runtime.txt -c requirements/example.txt requirements/dev.in -o requirements/dev.txt
	@$(COMPILE) -c requirements/build.txt -c requirements/runtime.txt requirements/peer.in -o requirements/peer.txt
	@$(COMPILE) -c requirements/build.txt -c requirements/runtime.txt requirements/worker.in -o requirements/worker.txt
	@$(COMPILE) -c requirements/build.txt -c requirements/runtime.txt -c requirements/example.txt requirements/digits.in -o requirements/digits.txt
	@$(COMPILE) requirements/local.in -o requirements/local.txt
	@# Alone: its tools ask for older versions of what the others have.
	@$(COMPILE) requirements/charts.in -o requirements/charts.txt
	@$(COMPILE) --no-deps requirements/vlmeval.in -o requirements/vlmeval.txt

$(UV):
	@$(PYTHON) -m venv build/uv
	@build/uv/bin/pip install -q --disable-pip-version-check uv

clean: ## remove what can be made again; results in outputs/ stay
	@rm -rf $(VENV) build dist examples/digits/data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find services tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} +
