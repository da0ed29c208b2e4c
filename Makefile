# `make help` lists what there is. Everything runs from .venv, made from hash-locked requirements when it is missing.

PORT ?= 8000
SHARDS ?= 4
DATA ?= .data
WORKERS ?= 2
PYTHON ?= python3
export PYTHON
# Commands and tests start many processes: each module is compiled once.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
LOCK := build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# CI's machines are shared, and stand still for a second now and then: up to three tests are tried once more there. What
# failed at first is shown; a fault that comes back fails the gate.
AGAIN := $(if $(CI),--reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks)

.DEFAULT_GOAL := help
.PHONY: help up web test format lint types imports schema web-check tests screenshots chaos chaos-reshard bench migrate lock audit venv venv-dev clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: venv ## start the whole service here: make up PORT=8000 SHARDS=4 REPLICAS=0 DATA=.data
	@$(BIN)/python scripts/web.py build --go-on
	@exec $(BIN)/shardboard up --port "$(PORT)" --shards "$(SHARDS)" $(if $(REPLICAS),--replicas "$(REPLICAS)") --data "$(DATA)"

web: venv ## build the board and GraphiQL in the browser (web/dist), when a source changed
	@$(BIN)/python scripts/web.py build

migrate: venv ## bring the shards of the running service to the newest schema
	@$(BIN)/shardboard migrate --data "$(DATA)"

test: format lint types imports schema web-check tests ## the whole gate, as CI runs it

format: venv-dev ## is everything formatted?
	$(BIN)/ruff format --check .

lint: venv-dev ## does ruff find anything?
	$(BIN)/ruff check .

types: venv-dev ## mypy --strict
	$(BIN)/mypy

imports: venv-dev ## do imports point where the layers allow?
	$(BIN)/lint-imports --no-logo

schema: venv-dev ## are graph/schema.graphql and rest/openapi.json what the code serves?
	$(BIN)/python -m graph.sdl | diff -u graph/schema.graphql -
	$(BIN)/python -m rest.openapi | diff -u rest/openapi.json -

web-check: venv-dev ## types, lint, tests and size of the board in the browser
	@$(BIN)/python scripts/web.py check

tests: venv-dev ## unit, integration, acceptance and browser tests: make tests WORKERS=2 ARGS="tests/db -x"
	$(BIN)/python -m pytest --numprocesses $(WORKERS) $(AGAIN) $(ARGS)

screenshots: venv-dev ## the pictures of the board for the README (docs/images), from a seeded service
	$(BIN)/python scripts/screenshots.py

chaos: venv-dev ## break one part after the other under traffic: make chaos SEED=1 MINUTES=5
	$(BIN)/python -m tests.chaos.faults $(if $(SEED),--seed $(SEED)) --minutes $(or $(MINUTES),5)

chaos-reshard: venv-dev ## move buckets while parts are killed: make chaos-reshard SEED=1 MINUTES=10
	$(BIN)/python -m tests.chaos.reshard $(if $(SEED),--seed $(SEED)) --minutes $(or $(MINUTES),10)

bench: ## the benchmarks, with their yardsticks
	@scripts/bootstrap requirements-dev.lock wrk
	$(BIN)/python -m benchmarks $(ARGS)

lock: ## resolve the dependencies of pyproject.toml anew and lock them with their hashes
	@test -x build/lock/bin/uv || { "$(PYTHON)" -m venv build/lock && build/lock/bin/pip install --quiet uv; }
	$(LOCK) --extra local --extra dev --extra newrelic --output-file requirements-dev.lock pyproject.toml
	$(LOCK) --extra local --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml

audit: ## is any locked package known to be vulnerable? (needs the net)
	@"$(PYTHON)" scripts/audit.py requirements.lock

venv:
	@scripts/bootstrap requirements.lock

venv-dev:
	@scripts/bootstrap requirements-dev.lock chromium postgresql redis-server prometheus

clean: ## remove what was built (never DATA)
	rm -rf .venv build web/dist web/node_modules ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
