#!/usr/bin/env bash
# clang-tidy over the sources of build/compile_commands.json; warnings are errors.
#
#   tools/run_tidy.sh --all              every file
#   tools/run_tidy.sh --base REVISION    files changed since REVISION
#   tools/run_tidy.sh --budget SECONDS   files of the last commit, then others until the time is over; says how many were
#                                        left out. The order of the others changes with each commit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "$(tools/setup.sh --print-venv)/bin/python" tools/run_tidy.py "$@"
