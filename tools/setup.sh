#!/usr/bin/env bash
# Sets up everything lmoe needs: Debian packages, the Python environment, the plot libraries of the report.
# Run it as often as you like: what is there already is left alone.
#
#   tools/setup.sh               everything that building and training need
#   tools/setup.sh --tests       and what only the tests need: Chromium, which draws the report
#   tools/setup.sh --print-venv  only prints where the Python environment is (or will be)
#   tools/setup.sh --web         only the plot libraries
#
# LMOE_VENV names another Python environment, LMOE_SETUP_PYTHON the Python to make it with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly requirements=(tools/requirements.txt tools/requirements-models.txt)
readonly packages=(
  cmake ninja-build g++ ccache mold pkg-config git xz-utils python3-venv
  nlohmann-json3-dev libyaml-cpp-dev libcli11-dev libspdlog-dev libpcre2-dev libicu-dev libssl-dev libhwy-dev
  libgtest-dev libgmock-dev libbenchmark-dev clang-format-14 clang-tidy-14
)

say() { printf 'setup: %s\n' "$*"; }
refuse() {
  printf 'setup: %s\n' "$@" >&2
  exit 2
}

venv_path() {
  if [[ -n "${LMOE_VENV:-}" ]]; then
    printf '%s\n' "$LMOE_VENV"
  else
    printf '%s/lmoe/venv-%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}" "$(cat "${requirements[@]}" | sha256sum | cut -c1-12)"
  fi
}

missing_packages() {
  local name
  for name in "${packages[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || printf '%s\n' "$name"
  done
  # Node.js may come from elsewhere with npm inside, and then Debian's npm would not install.
  command -v node >/dev/null || printf 'nodejs\n'
  command -v npm >/dev/null || printf 'npm\n'
  [[ "$1" != tests ]] || command -v chromium >/dev/null || printf 'chromium\n'
}

install_packages() {
  command -v dpkg-query >/dev/null ||
    refuse "this is not a Debian system: install the equivalents of: ${packages[*]} nodejs npm chromium (for the tests)" \
      "then use the CMake presets directly (LMOE_VENV names the Python environment)"
  local missing
  mapfile -t missing < <(missing_packages "$1")
  if ((${#missing[@]} == 0)); then
    say "system packages: all there"
    return
  fi
  ((EUID == 0)) ||
    refuse "missing system packages: ${missing[*]}" "ask an administrator to run: apt-get install ${missing[*]}"
  say "system packages: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# The first Python from 3.11 on that can make environments; the torch wheel is for 3.11 on the machines we know.
find_python() {
  local python
  for python in ${LMOE_SETUP_PYTHON:-python3.11 python3 /usr/bin/python3}; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$python"
      return
    fi
  done
  refuse "no Python from 3.11 on with the venv module was found; hint: apt-get install python3-venv"
}

# Made aside and renamed, so that an interrupted set-up leaves nothing half; one set-up at a time, so that what an
# earlier one left behind can be removed.
make_venv() {
  local venv aside python
  venv="$(venv_path)"
  if [[ ! -x "$venv/bin/python" ]]; then
    mkdir -p "$(dirname "$venv")"
    exec 9>"$venv.lock"
    flock 9
  fi
  if [[ -x "$venv/bin/python" ]]; then
    say "Python environment: $venv is there"
    return
  fi
  if [[ -e "$venv" ]]; then  # what an upgrade of Python left behind, or a folder that is no environment
    [[ -z "${LMOE_VENV:-}" || -z "$(ls --almost-all "$venv")" ]] ||
      refuse "LMOE_VENV has no bin/python: given $venv, expected a Python environment or a path where nothing is yet"
    rm -rf "$venv"
  fi
  python="$(find_python)"
  rm -rf "$venv".partial-*
  aside="$(mktemp --directory "$venv.partial-XXXXXX")"
  # shellcheck disable=SC2064  # expanded now: the variable is gone when the trap runs
  trap "rm -rf '$aside'" EXIT
  say "Python environment: making $venv with $("$python" --version) (torch is large, this takes a minute or two)"
  chmod 755 "$aside"
  "$python" -m venv "$aside"
  local pip=("$aside/bin/python" -m pip install -qq --no-input --disable-pip-version-check --no-compile
    --only-binary :all: --progress-bar off)
  "${pip[@]}" --requirement "${requirements[0]}"
  "${pip[@]}" --no-deps --requirement "${requirements[1]}"
  # Scripts carry the name they were made under.
  grep --recursive --files-with-matches --binary-files=without-match --fixed-strings "${aside##*/}" "$aside/bin" |
    xargs --no-run-if-empty sed --in-place "s|${aside##*/}|${venv##*/}|g"
  mv --no-target-directory "$aside" "$venv"
  say "Python environment: done"
}

install_web() {
  local stamp=web/node_modules/.lmoe-lock-hash wanted
  wanted="$(sha256sum <web/package-lock.json)"
  if [[ -f "$stamp" && "$(cat "$stamp")" == "$wanted" ]]; then
    say "plot libraries: all there"
    return
  fi
  say "plot libraries: npm ci in web/"
  (cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  printf '%s\n' "$wanted" >"$stamp"
}

case "${1:-}" in
  --print-venv) venv_path ;;
  --web) install_web ;;
  "" | --tests)
    install_packages "${1:+tests}"
    make_venv
    install_web
    say "ready"
    ;;
  *) refuse "unknown argument: given $1, expected --tests, --print-venv, --web or nothing" ;;
esac
