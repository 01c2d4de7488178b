# The commands everyone relies on. `make help` lists them; each one sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup check generate test unit demo bench bench-engine bench-gpu bench-science bench-scaling control-plane clean-cluster

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
UV_VERSION := 0.13.9
# Passed on to the demo and to the tests: the cluster to use instead of one made here.
KUBECONFIG_OPTION := $(if $(KUBECONFIG),--kubeconfig $(KUBECONFIG))

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# The lock is the stamp: a virtual environment newer than the lock is up to date.
$(VENV)/.synced: pyproject.toml uv.lock
	@echo "==> setup: virtual environment with locked dependencies (torch included: a few GB)"
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(RUN)/uv || $(RUN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(RUN)/uv sync --frozen --all-extras
	@touch $@

setup: $(VENV)/.synced ## make the virtual environment with locked dependencies

generate: setup ## write the generated files: CRD, chart schema and chart README
	$(RUN)/python -m forge_operator.api.crd
	$(RUN)/python charts/generate.py

check: setup ## ruff, mypy, import contracts, generated files, chart lint
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports
	$(RUN)/python -m forge_operator.api.crd --check
	$(RUN)/python charts/generate.py --check
	$(RUN)/python -m tests.harness run helm lint --strict charts/scientificllm-forge

test: setup ## all tests, on a control plane and on a real cluster that are made if need be
	$(RUN)/python -m pytest $(KUBECONFIG_OPTION)

unit: setup ## the tests that need neither torch, a browser nor a cluster (seconds)
	$(RUN)/python -m pytest -m "not model and not controlplane and not cluster and not browser and not slow"

demo: setup ## from nothing to a fine-tuned model that answers through its Service
	$(RUN)/python examples/demo.py $(KUBECONFIG_OPTION)

bench: setup ## measure the figures of docs/benchmarks.md
	$(RUN)/python -m tests.bench

bench-engine: setup ## measure the engine beside others, for docs/benchmarks.md
	$(RUN)/python -m tests.bench_engine

bench-gpu: setup ## measure the engine on a GPU, for docs/benchmarks.md; says so where there is none
	$(RUN)/python -m tests.bench_engine.gpu

bench-scaling: setup ## measure how replicas follow the load on a real cluster, for docs/benchmarks.md
	$(RUN)/python -m tests.bench_scaling $(KUBECONFIG_OPTION)

bench-science: setup ## measure how well texts are read, for docs/benchmarks.md
	$(RUN)/python -m tests.bench_science
	$(RUN)/python -m tests.science.papers
	$(RUN)/python -m tests.bench_science.crowding

control-plane: setup ## a real API server without containers; writes .cluster/control-plane.kubeconfig
	$(RUN)/python -m tests.harness control-plane

clean-cluster: setup ## remove the clusters made here, their volumes and the engine started for them
	$(RUN)/python -m tests.harness down
