# Everything runs in .venv, made on first use with plain venv and pip from pinned constraints.
PYTHON ?= python3
BIN := .venv/bin
DISTRIBUTIONS := core plugins/openai plugins/gemini plugins/xai plugins/simulator plugins/cli
EDITABLE := $(foreach folder,$(DISTRIBUTIONS),-e $(folder))
MANIFESTS := pyproject.toml constraints.txt $(foreach folder,$(DISTRIBUTIONS),$(folder)/pyproject.toml)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test check format bench bench-full bench-peers bench-context torture constraints clean

demo: .venv/runtime
	$(BIN)/tertulia demo

test: .venv/dev
	$(BIN)/pytest -n auto --cov --cov-report=term

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	PYTHONPATH=plugins/genai-prices/src:plugins/splintr/src $(BIN)/lint-imports
	$(BIN)/python tests/wheels.py

# What a test repeats, many times over: mutated bytes by the million, searches by the ten thousand,
# a thousand processes killed, the power cut at hundreds of moments, a hundred thousand worlds in which anything
# fails at any time, and as many contexts of conversations made by chance. It takes about two hours on two cores;
# name another number for more: make torture TIMES=400 kills ten thousand.
TIMES ?= 40
torture: .venv/dev
	TERTULIA_TORTURE=$(TIMES) $(BIN)/pytest -n auto tests/wire/test_wire_fuzz.py tests/store tests/simulation \
		tests/context/test_context_invariants.py

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/dev
	$(BIN)/python -m benchmarks

# The same with libraries of a million messages and a million conversations, and beside other packages. It makes
# the libraries once, which takes five minutes and two gigabytes in the folder for temporary files, or in the one
# that TERTULIA_BENCHMARK_DATA names; what it measures takes about fifteen more.
bench-full: .venv/dev bench-peers
	TERTULIA_BENCHMARK_PEERS=.venv/peers/bin/python $(BIN)/python -m benchmarks --full

# What others store conversations with, in an environment of its own: what cannot be installed is left out.
PEERS := llm openai-agents langgraph langgraph-checkpoint-sqlite
bench-peers:
	test -x .venv/peers/bin/python || $(PYTHON) -m venv .venv/peers
	for peer in $(PEERS); do .venv/peers/bin/python -m pip --disable-pip-version-check install --quiet $$peer \
		|| echo "$$peer cannot be installed: its rows are left out"; done

# How much of what answers a question is left when a conversation is cut to a budget, beside LangChain and litellm,
# which are installed in an environment of their own; what provider caches save; and how long choosing takes.
# TERTULIA_TEST_DATA names the folder of the long conversations; without it there are only our own, small ones.
# EVERY=4 asks every fourth question, which takes a few minutes instead of twenty.
EVERY ?= 1
CONTEXT_PEERS := .venv/peers-context
bench-context: .venv/dev
	test -x $(CONTEXT_PEERS)/bin/python || $(PYTHON) -m venv $(CONTEXT_PEERS)
	for peer in langchain-core litellm; do \
		$(CONTEXT_PEERS)/bin/python -m pip --disable-pip-version-check install --quiet $$peer \
		|| echo "$$peer cannot be installed: its rows are left out"; done
	TERTULIA_BENCHMARK_CONTEXT_PEERS=$(CONTEXT_PEERS)/bin/python $(BIN)/python -m benchmarks.context --every $(EVERY)

# Take the newest releases of everything, and write down which they are.
constraints:
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --group runtime --group dev
	$(BIN)/python -m pip install --quiet --no-build-isolation $(EDITABLE)
	{ echo '# Every release this workspace is tested with: a later one cannot break a fresh machine.'; \
	  echo '# Renew with: make constraints'; \
	  $(BIN)/python -m pip freeze --all --exclude-editable; } > constraints.txt

clean:
	rm -rf .venv dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Build isolation would fetch an unpinned build backend, so the backend is installed first.
.venv/runtime: $(MANIFESTS)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "tertulia needs Python 3.11 or newer; run: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) pip
	$(PIP) --group runtime
	$(PIP) --no-build-isolation $(EDITABLE)
	@touch $@

.venv/dev: .venv/runtime
	$(PIP) --group dev
	@touch $@
