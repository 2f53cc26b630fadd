# Every target does its own set-up: a bare machine needs Python 3.11, git, make and curl.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
REFLEX_FRONTEND_PORT ?= 3000
VENV := $(CURDIR)/.venv/bin
# node and npm come from the virtual environment too.
export PATH := $(VENV):$(PATH)
export PORT
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: run serve test bench format migrate setup setup-dev

run: setup                ## development mode: pages on :3000, HTTP routes on :8000
	@python scripts/check_ports.py REFLEX_FRONTEND_PORT=$(REFLEX_FRONTEND_PORT) PORT=$(PORT)
	@python -m flashcur.migrate
	@REFLEX_FRONTEND_PORT=$(REFLEX_FRONTEND_PORT) exec reflex run

serve: setup              ## production build, everything on PORT; built anew when sources or address changed
	@python scripts/check_ports.py PORT=$(PORT)
	@exec python -m flashcur.serve

# FILE is a file, a folder or one test: make test FILE=tests/domain/test_book.py::test_name
ifdef FILE
test: setup-dev
	@test -e "$(firstword $(subst ::, ,$(FILE)))" || { echo "make test: there is no $(firstword $(subst ::, ,$(FILE)))" >&2; exit 2; }
	pytest $(ARGS) "$(FILE)"
else
test: setup-dev           ## style, types, all tests, of the browser's modules too; with FILE=… only those in there
	ruff format --check .
	ruff check .
	pyright
	npm run --silent check
	python scripts/run_tests.py
endif

bench: setup-dev          ## benchmarks; writes docs/performance.md
	@exec python -m bench

format: setup-dev
	ruff format .
	ruff check --fix .
	npm run --silent format

migrate: setup            ## bring the database to this version
	@python -m flashcur.migrate

setup:
	@$(PYTHON) scripts/prepare.py

setup-dev:
	@$(PYTHON) scripts/prepare.py --dev
