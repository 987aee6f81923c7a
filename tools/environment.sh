#!/bin/sh
# Makes or completes an environment:  tools/environment.sh FOLDER [dev]
# Without dev, only drumvae-live and the file tools are installed; with dev, everything. A Python for which python-rtmidi has a wheel
# (3.11, 3.12) has precedence over newer ones, for which pip must compile it. If that fails, the rest is installed, and everything but
# real ports works.
set -eu
cd "$(dirname "$0")/.."
folder=$1
extra=${2:-}

say() { echo "drumvae: $*" >&2; }
give_up() { say "$*"; exit 1; }
holds() { "$1" -c "import sys; sys.exit(not ($2))" >/dev/null 2>&1; } # also false for a shim or a link that leads nowhere
can_make() { holds "$1" "$2" && "$1" -c "import ensurepip, venv" >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        can_make "$PYTHON" "sys.version_info >= (3, 11)" && echo "$PYTHON" && return
        give_up "PYTHON=$PYTHON is not a Python from 3.11 on that can make environments; type make PYTHON=/path/to/python3.12."
    fi
    for python in python3.12 python3.11 python3 python "${HOME:-}"/.pyenv/versions/3.1[21].*/bin/python; do
        can_make "$python" "(3, 11) <= sys.version_info < (3, 13)" && echo "$python" && return
    done
    for python in python3 python3.13 python3.14 python3.15 python; do
        can_make "$python" "sys.version_info >= (3, 13)" && echo "$python" && return
    done
    for python in python3.12 python3.11 python3; do
        holds "$python" "sys.version_info >= (3, 11)" && give_up "$python cannot make environments; type sudo apt install python3-venv, then make again."
    done
    give_up "no Python from 3.11 on was found; install Python 3.12 (python.org, brew install python@3.12, sudo apt install python3 python3-venv)."
}

environment_python() {
    for python in "$folder/bin/python" "$folder/Scripts/python.exe"; do
        [ -e "$python" ] && echo "$python" && return
    done
    return 1
}

make_environment() {
    if python=$(environment_python) && holds "$python" "True"; then
        holds "$python" "sys.version_info >= (3, 11)" || give_up "$folder holds a Python older than 3.11; remove it, or type make VENV=another-folder."
        "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip --upgrade
        return
    fi
    if [ -e "$folder" ] && [ ! -e "$folder/pyvenv.cfg" ] && [ -n "$(ls -A "$folder")" ]; then
        give_up "$folder exists and is not a Python environment; move it away, or type make VENV=another-folder."
    fi
    base=$(find_python)
    say "makes the environment $folder with $("$base" --version)"
    "$base" -m venv --clear "$folder"
}

requirements_without_rtmidi() {
    "$python" - "$extra" <<'PY'
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = project["optional-dependencies"]
wanted = project["dependencies"] + (extras["train"] + extras["dev"] if sys.argv[1] else [])
print(*(line for line in wanted if not line.startswith(("python-rtmidi", "drumvae["))), sep="\n")
PY
}

pip_install() { "$python" -m pip --disable-pip-version-check install -c constraints.txt "$@"; }

install() {
    if pip_install -q python-rtmidi >"$folder/python-rtmidi.log" 2>&1; then
        pip_install -e ".${extra:+[$extra]}"
        return
    fi
    requirements_without_rtmidi >"$folder/requirements.txt"
    pip_install -r "$folder/requirements.txt"
    pip_install --no-deps -e .
    say "python-rtmidi has no wheel for $("$python" --version) and did not build: the demo, the file tools and training work, real ports do not." \
        "For these install Python 3.12 (or a compiler with the ALSA and JACK headers), remove $folder, and type make again."
}

make_environment
python=$(environment_python)
install
touch "$folder/.drumvae${extra:+-$extra}" "$folder/.drumvae"
