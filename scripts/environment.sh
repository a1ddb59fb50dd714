# shellcheck shell=bash disable=SC2034  # root and python are for the scripts that source this
# Sourced by the scripts beside it: finds a Python, and keeps virtual environments that match their lock files.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }
fail() { say "$(basename "$0"): $*"; exit 1; }
misuse() { say "$(basename "$0"): $* (see --help)"; exit 2; }

# The comment at the head of the running script.
print_help() { sed -n '2,/^[^#]/ s/^#\( \|$\)//p' "$0"; }

# Sets `base` to a Python that can make virtual environments: $PYTHON where that is set, else the first on PATH.
find_python() {
  local candidate bare='' old=''
  for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    case $("$candidate" -c '
import sys
try: import ensurepip, venv
except ImportError: state = "bare"
else: state = "ready"
print("old %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else state)' 2>/dev/null) in
      ready) base=$candidate; return ;;
      bare) bare=${bare:-$candidate} ;;
      old*) old=${old:-$candidate} ;;
    esac
  done
  [ -z "$bare" ] || fail "$bare cannot make virtual environments; on Debian or Ubuntu type: sudo apt install $(basename "$bare")-venv"
  [ -z "$old" ] || fail "Python 3.11 or later is needed, and $old is older; install one, or name one: PYTHON=/path/to/python3.12 $0"
  fail "Python 3.11 or later is needed, and none was found; on Debian or Ubuntu type: sudo apt install python3 python3-venv"
}

# ensure_environment FOLDER LOCK [UNLOCKED]: sets `python` to that of an environment with exactly these requirements.
ensure_environment() {
  local folder=$1
  python=$folder/bin/python
  is_current "$@" && return
  mkdir -p "$(dirname "$folder")" 2>/dev/null || true
  [ -w "$(dirname "$folder")" ] || fail "cannot write to $(dirname "$folder")"
  (
    if command -v flock >/dev/null && ! flock -n 9; then
      say "waiting for another set-up of $folder"
      flock 9
    fi
    is_current "$@" || set_up "$@"
  ) 9>"$folder.lock"
}

is_current() { [ -f "$1/ready" ] && [ "$(cat "$1/ready")" = "$(fingerprint "$@")" ]; }

fingerprint() {
  local folder=$1
  shift
  "$folder/bin/python" -c '
import hashlib, sys
print(hashlib.sha256(b"".join(open(path, "rb").read() for path in sys.argv[1:])).hexdigest(), *sys.version_info[:3])' "$@" 2>/dev/null
}

set_up() {
  local folder=$1 lock=$2 unlocked=${3:-}
  if [ -n "$(ls -A "$folder" 2>/dev/null)" ] && [ ! -f "$folder/pyvenv.cfg" ]; then
    fail "$folder holds something else than a virtual environment; name another folder"
  fi
  find_python
  rm -rf "$folder"
  step "making a virtual environment in $folder" "$base" -m venv "$folder"
  if [ -n "$unlocked" ]; then
    step "installing $(grep -c '^[^#]' "$unlocked") package outside the lock" install "$folder" --no-deps -r "$unlocked"
  fi
  step "installing $(grep -c '==' "$lock") packages" \
    install "$folder" --no-deps --only-binary :all: --require-hashes -r "$lock"
  fingerprint "$@" >"$folder/ready"
}

# Nothing is compiled to bytecode here: Python does it for the modules that are really used.
install() {
  local folder=$1
  shift
  "$folder/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile --progress-bar off "$@"
}

# step WHAT COMMAND…: says what happens and how long it took; the command's own words are shown when it fails.
step() {
  local what=$1 log=$folder.log started=$SECONDS
  shift
  printf '%s … ' "$what" >&2
  if "$@" >"$log" 2>&1; then
    say "$((SECONDS - started)) s"
    rm -f "$log"
    return
  fi
  say "failed"
  if grep -qE 'NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError' "$log"; then
    fail "pip cannot reach the package index: check the network (behind a proxy: export HTTPS_PROXY=…), and run this again; more in $log"
  fi
  tail -n 5 "$log" >&2
  fail "this did not work: $what; more in $log"
}

# For scripts/test and scripts/check.
ensure_test_environment() {
  ensure_environment "${LOCCIT_TEST_ENVIRONMENT:-$root/.venv-test}" "$root/requirements/test.lock" "$root/requirements/torch.txt"
}

# run_loccit ARGUMENTS…: becomes the command, from the clone and its locked packages.
run_loccit() {
  ensure_environment "${LOCCIT_ENVIRONMENT:-$root/.venv-serve}" "$root/requirements/serve.lock"
  unset LOCCIT_ENVIRONMENT
  # Loccit has threads of its own for that; those of the tokenizers library would only get in their way.
  export LOCCIT_DATA=${LOCCIT_DATA:-$root/.loccit} PYTHONPATH=$root TOKENIZERS_PARALLELISM=false
  exec "$python" -P -m service "$@"
}
