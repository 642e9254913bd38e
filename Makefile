# lmoe: `make demo` sets up, builds, trains and shows; `make test` sets up, builds and runs all tests.
.DEFAULT_GOAL := help
.PHONY: help setup setup-tests build test demo unit-asan format check-format tidy clean

# As many jobs as there are cores, as long as each Torch-heavy compilation has 1.5 GB of memory.
JOBS ?= $(shell awk -v cores=$$(nproc) '/MemAvailable/ {m = int($$2 / 1572864); n = cores < m ? cores : m; print n < 1 ? 1 : n}' /proc/meminfo)
# `make test` runs clang-tidy over what changed since this revision; `make tidy` looks at everything.
TIDY_BASE ?= HEAD~1

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing: Debian packages, Python environment, plot libraries
	@tools/setup.sh

setup-tests:
	@tools/setup.sh --tests

build: setup ## build the program: build/lmoe
	@echo "build: configuring (log: build/configure.log)" && mkdir -p build
	@cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@echo "build: compiling with $(JOBS) jobs"
	@cmake --build --preset release -j $(JOBS)

demo: build ## train an L-MoE and a LoRA on three tasks, score both and the base, write the report
	@tools/demo.sh

test: setup-tests build check-format ## build and run all tests, the sanitizers over the unit tests, clang-tidy over what changed
	@echo "test: all tests, optimised build"
	@ctest --preset release -j $(JOBS)
	@$(MAKE) --no-print-directory unit-asan
	@echo "test: clang-tidy"
	@tools/run_tidy.sh --base $(TIDY_BASE)
	@echo "test: everything passed"

unit-asan: setup ## unit tests of the left wing under AddressSanitizer and UndefinedBehaviorSanitizer
	@echo "test: unit tests of the left wing under AddressSanitizer and UndefinedBehaviorSanitizer"
	@mkdir -p build-asan
	@cmake --preset asan >build-asan/configure.log 2>&1 || { cat build-asan/configure.log; exit 1; }
	@cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan -j $(JOBS)

format: setup ## reformat all C++ files
	@tools/check_format.sh --fix

check-format: setup
	@tools/check_format.sh

tidy: build ## clang-tidy over all C++ files
	@tools/run_tidy.sh --all

clean: ## remove what was built (not what setup installed)
	rm -rf build build-dev build-asan
