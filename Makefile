# The commands a person needs; .ci/run calls the same ones. `make` alone lists them.

PYTHON ?= python3
VENV   ?= .venv

# The bundled photo and the clicks on it: X,Y is on the object, X,Y,- is not part of it.
DEMO_IMAGE  ?= src/inter2former/assets/demo.jpg
DEMO_CLICKS ?= 290,110 222,265 150,250,- 408,80,-

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install -c constraints.txt
# A stamp is newer than what it was installed from; source changes need no new install, the install is editable.
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo test test-browser check-page lint sanitize bench clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "Another interpreter: make demo PYTHON=python3.12   (3.10 to 3.13; needed only until $(VENV) exists)"

demo: $(RUN_STAMP) ## install, then segment the bundled photo by clicks and write outputs/demo-overlay.png
	@mkdir -p outputs
	$(BIN)/inter2former segment $(DEMO_IMAGE) $(foreach click,$(DEMO_CLICKS),--click $(click)) \
	  --out outputs/demo-mask.png --overlay outputs/demo-overlay.png
	@echo
	@echo "Look at outputs/demo-overlay.png (the mask over the photo) and outputs/demo-mask.png (the mask alone)."
	@echo "Your own photo:  $(BIN)/inter2former segment PHOTO --click X,Y --click X,Y,- --out mask.png --overlay overlay.png"
	@echo "                 X,Y is a pixel of the object; X,Y,- is a pixel that is not."
	@echo "Annotate:        $(BIN)/inter2former annotate FOLDER"
	@echo "From Python:     from inter2former import Predictor      (the README has eight lines that run)"
	@echo "This machine:    $(BIN)/inter2former doctor"

test: $(DEV_STAMP) ## run the tests; more by hand: make test ARGS="-m slow"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

test-browser: $(DEV_STAMP) ## drive the annotator in a real browser (Debian: apt install chromium)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser tests/web $(ARGS)

check-page: ## check the types of the annotator's page (needs npm, which fetches TypeScript)
	npm exec --yes --package typescript@5.9 -- tsc --project src/inter2former/web/page/jsconfig.json

lint: $(DEV_STAMP) ## check style, format, types and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror native/*.cc native/*.h
	$(BIN)/mypy
	$(BIN)/typos

sanitize: sanitize-address,undefined sanitize-thread ## test the kernels, without Python, under ASan, UBSan and TSan

sanitize-%: $(DEV_STAMP)
	$(BIN)/cmake -S . -B build/$@ -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DINTER2FORMER_SANITIZE=$*
	$(BIN)/cmake --build build/$@
	$(BIN)/ctest --test-dir build/$@ --output-on-failure

bench: $(RUN_STAMP) ## time every stage on this machine
	$(BIN)/inter2former bench $(ARGS)

clean: ## remove build output, caches and the demo's pictures; keeps the virtual environment
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis outputs/demo-mask.png outputs/demo-overlay.png
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null || { echo "make: no '$(PYTHON)' here; inter2former needs Python 3.10 to 3.13: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "make: '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1); inter2former needs Python 3.10 to 3.13: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -f $@; \
	  echo "make: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (the first time takes a minute or two) ..."
	@$(PIP) -e .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	@$(PIP) -e '.[dev]'
	@touch $@
