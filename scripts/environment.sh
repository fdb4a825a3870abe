# The environment of scripts/*, made where it is missing. Sourced by bash, from any directory:
#
#     source scripts/environment.sh
#     use_environment [dependency group]…
#
# puts the Python of the project's virtual environment, with jnn and the named groups of pyproject.toml installed, first
# on PATH, and leaves the repository's folder in $root. All scripts share one environment; groups are added as needed.
#
#     JNN_PYTHON   the Python to build on; else the first of python3, python3.14, … that is new enough
#     JNN_VENV     where the environment stands, from the repository's folder; else .venv

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

use_environment() {
  venv=${JNN_VENV:-.venv}
  case $venv in /*) ;; *) venv=$root/$venv ;; esac
  # Two marks, each written last, so that what was interrupted is done again: what the environment was made for …
  local made_for=$venv/jnn-made-for installed=$venv/jnn-installed
  if ! _same "$made_for" "$(_made_for "$venv/bin/python")" || ! _wanted_python; then
    _make_venv
    _made_for "$venv/bin/python" >"$made_for"
  fi
  # … and what was installed into it: pyproject.toml's checksum in the first line, then the groups.
  local checksum groups="" group
  checksum=$(cksum <"$root/pyproject.toml")
  if [ -f "$installed" ]; then groups=$(tail -n +2 "$installed"); fi
  local missing=""
  for group in "$@"; do
    case " $groups " in *" $group "*) ;; *) missing="$missing $group" ;; esac
  done
  if [ -n "$missing" ] || [ "$(head -n 1 "$installed" 2>/dev/null)" != "$checksum" ]; then
    groups=$(echo $groups $missing) # unquoted: one space between two names
    rm -f "$installed"
    _install $groups
    printf '%s\n%s\n' "$checksum" "$groups" >"$installed"
  fi
  export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH
}

# A program that was compiled before, by another of the tests' workers or an earlier run, is read from the environment: a
# third of a run's time.
keep_compiled() {
  export JAX_COMPILATION_CACHE_DIR=$venv/jnn-compiled
  export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1
  mkdir -p "$JAX_COMPILATION_CACHE_DIR"
  find "$JAX_COMPILATION_CACHE_DIR" -type f -mtime +7 -delete
}

_say() { echo "jnn: $*" >&2; }

_fail() {
  _say "$*"
  exit 1
}

_same() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# Which interpreter this is: a virtual environment has the same answer as the Python it was made with.
_identity() { "$1" -c 'import sys; print(sys.version_info[:3], sys.base_prefix)' 2>/dev/null; }

# An environment serves one interpreter in one place: it does not survive Python's upgrade, nor a move of its folder.
_made_for() { echo "$(_identity "$1") $venv"; }

_wanted_python() { [ -z "${JNN_PYTHON:-}" ] || [ "$(_identity "$JNN_PYTHON")" = "$(_identity "$venv/bin/python")" ]; }

_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

_has_uv() { command -v uv >/dev/null 2>&1; }

_make_venv() {
  local candidates=() candidate python="" incomplete=""
  if [ -n "${JNN_PYTHON:-}" ]; then
    candidates=("$JNN_PYTHON")
  else
    # python3 is the one its owner chose; then the newest that is there
    candidates=(python3 $(compgen -c python3. | grep -E '^python3\.[0-9]+$' | sort -t . -k 2 -rnu) python)
  fi
  for candidate in "${candidates[@]}"; do
    _new_enough "$candidate" || continue
    # Debian packs ensurepip, without which venv makes no pip, apart from Python. uv needs neither.
    if _has_uv || "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      # the Python beneath, where the candidate stands in a virtual environment itself
      python=$("$candidate" -c 'import sys; print(sys._base_executable)')
      break
    fi
    incomplete=$candidate
  done
  if [ -n "$incomplete" ] && [ -z "$python" ]; then
    _fail "$incomplete lacks the venv module: install it (Debian, Ubuntu: apt-get install python3-venv), or install uv"
  elif [ -z "$python" ]; then
    _fail "no working Python ≥ 3.11${JNN_PYTHON:+ at JNN_PYTHON=$JNN_PYTHON}: install one, or name it in JNN_PYTHON"
  fi
  _say "making ${venv#"$root"/} with $("$python" --version) and $(_has_uv && echo uv || echo venv)"
  if _has_uv; then
    # with pip too (--seed), so that the environment outlives uv
    uv venv --quiet --clear --seed --python "$python" "$venv" </dev/null
  else
    "$python" -m venv --clear "$venv" </dev/null
  fi || _fail "could not make $venv"
}

_install() {
  _say "installing jnn${1:+ and its dependency groups $*} into ${venv#"$root"/}; the first time this takes some minutes"
  local group options=()
  for group in "$@"; do options+=(--group "$group"); done
  (
    cd "$root" || exit 1
    if _has_uv; then
      uv pip install --quiet --python "$venv/bin/python" --editable . ${options[@]+"${options[@]}"}
    else
      pip=("$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input install)
      "${pip[@]}" 'pip>=25.1' && # the first to know dependency groups
        "${pip[@]}" --editable . ${options[@]+"${options[@]}"}
    fi
  ) </dev/null || _fail "the installation failed; the lines above say why. Run the command again to go on"
}
