# Every way to work on LLM Manager. `make` alone lists them. Needs git, make and Python 3.11 or newer, nothing else.
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
STEP := sh scripts/step.sh
MEMBERS := core contracts kit testing cli client gateway providers usage
# pytest's, on two cores; set N=0 to debug a test
N ?= 2
# mkdocs-material advertises its successor at every build
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-run up down status test test-unit test-integration test-kills check fmt proto lock requirements docs openapi \
	bench bench-gate soak examples fidelity fresh clean check-style check-types check-imports check-contracts check-house check-docs

help: ## List what can be done
	@echo "LLM Manager. 'make up' starts everything; these are all the ways:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "  %-20s %s\n", $$1, $$2 }'

setup: ## Make .venv what requirements.lock and the workspace say (every target does it when needed)
	@python=$$(sh scripts/find_python.sh) && "$$python" -I scripts/install.py

setup-run: ## Make .venv what runs the product, half of what `setup` brings (`up` does it when needed)
	@python=$$(sh scripts/find_python.sh) && "$$python" -I scripts/install.py run

up: setup-run ## Start the product and say what to do next; Ctrl-C drains. DETACH=1 returns when it is ready
	@exec $(BIN)/llm-manager up $(if $(DETACH),--detach) $(if $(JSON),--json)

down: setup-run ## Drain and stop what `make up` started
	@$(BIN)/llm-manager down

status: setup-run ## Show what runs
	@$(BIN)/llm-manager status

test: setup ## Run all tests, unit and integration, and print the coverage of our own code
	@$(BIN)/coverage erase
	@echo "Unit tests:" && $(BIN)/coverage run -m pytest -q -n $(N) packages services tests/meta
	@echo "Integration tests:" && $(BIN)/coverage run -m pytest -q tests/integration
	@$(BIN)/coverage combine -q && $(BIN)/coverage report --fail-under=85

test-unit: setup ## Run the unit tests only (under 30 s)
	@$(BIN)/python -m pytest -q -n $(N) packages services tests/meta

test-integration: setup ## Run the tests that start several services together
	@$(BIN)/python -m pytest -q tests/integration

test-kills: setup ## Kill and freeze processes under mixed load for 200 s, then settle the books. SEED=n takes another order
	@LLM_MANAGER_TEST_KILLS_SECONDS=200 LLM_MANAGER_TEST_KILLS_SEED=$(or $(SEED),1) \
		$(BIN)/python -m pytest -q -s tests/integration/test_kills.py

bench: setup ## Compare with nginx, LiteLLM and Portkey on this machine (about 30 minutes); OPTIONS="--cases short …"
	@$(BIN)/python -m bench $(OPTIONS)

bench-gate: setup ## Fail when this checkout costs more CPU than BASE (origin/main), both running at once
	@$(BIN)/python -m bench.gate --base $(or $(BASE),origin/main)

soak: setup ## Answer a million requests and fail when memory grew by more than 3 % (about an hour)
	@$(BIN)/python -m bench.soak $(OPTIONS)

examples: setup ## Make .venv-examples, in which the programs of examples/clients run
	@$(BIN)/python -I scripts/install_examples.py

fidelity: setup ## Play every recording through the running product and write the table in docs/fidelity.md
	@$(BIN)/python scripts/fidelity.py

check: setup check-style check-types check-imports check-contracts check-house check-docs ## Everything that needs no running part
	@echo "make check: passed"

check-style:
	@$(STEP) "format (ruff)" "run 'make fmt'" $(BIN)/ruff format --check --quiet .
	@$(STEP) "lint (ruff)" "run 'make fmt'; what is left needs a hand" $(BIN)/ruff check --quiet .

check-types:
	@$(STEP) "types (basedpyright, strict)" "see the lines above" $(BIN)/basedpyright --warnings

check-imports:
	@$(STEP) "imports between packages" "move the import; design.md section 8 has the rules" $(BIN)/lint-imports --no-cache

check-contracts:
	@$(STEP) "contracts: lint (buf)" "see the lines above" $(BIN)/buf lint proto
	@$(STEP) "contracts: compatible (buf)" "add new fields, never change old ones" sh scripts/buf_breaking.sh
	@$(STEP) "contracts: generated code" "run 'make proto'" sh scripts/generate_contracts.sh --check

check-house:
	@$(STEP) "house rules" "see the lines above" $(BIN)/python -m pytest -q tests/meta
	@$(STEP) "requirement ledger" "run 'make requirements'" $(BIN)/python tests/meta/requirement_ledger.py --check

check-docs:
	@$(STEP) "docs: generated pages" "run 'make docs'" $(BIN)/python scripts/generate_docs.py --check
	@$(STEP) "client: generated code" "run 'make docs'" $(BIN)/python scripts/generate_client.py --check
	@$(STEP) "docs: build, strict" "see the lines above" $(BIN)/mkdocs build --strict --quiet --site-dir build/site

fmt: setup ## Format, and mend what the linter can mend
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

proto: setup ## Generate packages/contracts from proto/
	@sh scripts/generate_contracts.sh

lock: ## Resolve the newest versions into requirements.lock (needs a working .venv)
	@$(STEP) "resolving" "see the lines above" $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes \
		--python-version 3.11 --no-header pyproject.toml --group dev $(MEMBERS:%=--no-emit-package llm-manager-%) \
		-o requirements.lock
	@$(STEP) "resolving the examples" "see the lines above" $(BIN)/uv pip compile --quiet --upgrade --universal \
		--generate-hashes --python-version 3.11 --no-header --group pyproject.toml:examples -o examples/clients/requirements.lock
	@$(BIN)/python scripts/tidy_lock.py

requirements: setup ## Show which rows of the specification tests prove, and record them
	@$(BIN)/python tests/meta/requirement_ledger.py --write

docs: setup ## Write the generated pages and the client of the admin API, then build the docs into build/site
	@$(STEP) "docs: generated pages" "see the lines above" $(BIN)/python scripts/generate_docs.py
	@$(STEP) "client: generated code" "see the lines above" $(BIN)/python scripts/generate_client.py
	@$(STEP) "docs: build, strict" "see the lines above" $(BIN)/mkdocs build --strict --quiet --site-dir build/site

openapi: setup ## Print the gateway's OpenAPI document
	@$(BIN)/llm-manager openapi

fresh: ## Prove the README: clone HEAD, empty home, make up, first request, make test, make down
	@python=$$(sh scripts/find_python.sh) && "$$python" -I scripts/fresh.py

clean: ## Remove what can be made again, the environments included; never the data directory
	@rm -rf .venv .bootstrap build site htmlcov .coverage .coverage.* .ruff_cache .import_linter_cache .hypothesis
