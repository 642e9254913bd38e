#!/usr/bin/env bash
# Checks that all C++ files are formatted as .clang-format says; --fix reformats them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mapfile -t files < <(find src tests bench -name '*.h' -o -name '*.cpp' 2>/dev/null | sort)
if [[ "${1:-}" == --fix ]]; then
  clang-format-14 -i "${files[@]}"
  exit
fi
if ! complaints="$(clang-format-14 --dry-run -Werror "${files[@]}" 2>&1)"; then
  grep 'error:' <<<"$complaints" | cut -d: -f1 | sort | uniq --count
  echo "format: the files above are not formatted (number: places); hint: make format" >&2
  exit 1
fi
echo "format: ${#files[@]} files are as they should be"
