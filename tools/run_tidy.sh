#!/usr/bin/env bash
# clang-tidy over the sources of build/compile_commands.json; warnings are errors.
#
#   tools/run_tidy.sh --all              every file: close to an hour of one core, most of it in LibTorch's headers
#   tools/run_tidy.sh --base REVISION    files changed since REVISION, or whose own header was
#   tools/run_tidy.sh FILE…              these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "$(tools/setup.sh --print-venv)/bin/python" tools/run_tidy.py "$@"
