# Every target sets up what it needs in .venv by itself, once.

BIN := .venv/bin
STAMP := .venv/installed
ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# Servers that the tests start, and whose packages no one environment holds at once.
SERVERS := $(patsubst %,.servers/%/installed,kserve mlflow triton)
# Ends an installation in an environment of its own: .venv's packages come last on its path.
CHAIN = $(BIN)/python $(SITE) > "$$($(@D)/bin/python $(SITE))/project.pth" && touch $@
SITE := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

# Material for MkDocs would advertise another program.
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo test test-hub test-wheel dist bench evaluate docs servers clean

demo: $(STAMP)
	$(BIN)/python demo/demo.py

test: $(STAMP) $(SERVERS)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet
	$(BIN)/pytest --numprocesses 2 --dist loadfile --cov --cov-report term

# With the real torchvision and timm, whose build of torch .venv cannot hold: 6 GB.
test-hub: .hub/installed
	PYTHONPATH=src .hub/bin/python -m pytest -m hub tests/models

# Empty environments without and with torch, in which nothing of the repository is to be found.
test-wheel: dist
	rm -rf .wheel
	set -e; for name in verifying sealing; do \
		$(BIN)/python -m venv .wheel/$$name; \
		case $$name in sealing) extras='[seal,report]' ;; *) extras= ;; esac; \
		.wheel/$$name/bin/python -m pip install --quiet -c constraints.txt \
			"$$(echo dist/*.whl)$$extras"; \
	done
	$(BIN)/pytest -m wheel tests/test_wheel.py
	rm -rf .wheel

dist: $(STAMP)
	rm -rf dist
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

bench: $(STAMP)
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/tables.py

# Every method against every change: about an hour and a half for each of the larger networks.
evaluate: $(STAMP)
	$(BIN)/python benchmarks/run.py evaluate
	$(BIN)/python benchmarks/tables.py

docs: $(STAMP)
	$(BIN)/mkdocs build --strict

# Without a PYTHON of your own it is the first one here that is new enough.
$(STAMP): pyproject.toml constraints.txt
	@set -e; for python in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
		if $$python -c '$(ENOUGH)' 2>/dev/null; then break; fi; \
	done; \
	$$python -c '$(ENOUGH)' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }; \
	set -x; $$python -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

servers: $(SERVERS)

.hub/installed: tests/hub.txt | $(STAMP)
	rm -rf $(@D)
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --no-compile -r $<
	$(CHAIN)

# What a server lacks, such as torch, it finds in .venv, whose packages come last on its path.
# Where a server cannot be installed, its tests are skipped; continuous integration needs all.
.servers/%/installed: tests/servers/%.txt | $(STAMP)
	rm -rf $(@D)
	$(BIN)/python -m venv $(@D)
	@if (set -x; $(@D)/bin/python -m pip install --quiet --no-compile -r $<); then \
		$(CHAIN); \
	else \
		rm -rf $(@D); echo "the tests of $* will be skipped" >&2; test -z "$$CI"; \
	fi

clean:
	rm -rf build dist site .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
