#!/usr/bin/env bash
# Make or finish .venv. Every step leaves a stamp with the hash of all it depends on, so that a second run does only
# what is missing; an interrupted compile of mmcv goes on where it stopped. Change nothing by hand in .venv.
#   PYTHON=python3.12   which Python to use (3.11 or 3.12)
#   MAX_JOBS=4          how many compilers run side by side
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONPATH PYTHONHOME
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

STAMPS=.venv/.setup
LOG=$STAMPS/log
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/agssp_mm
PIP=(.venv/bin/python -m pip --quiet)
MMCV=$(grep -E '^onedl-mmcv==' requirements/openmmlab.txt)
FOUND=$STAMPS/found-${MMCV/==/-}
chain=start heartbeat_pid='' in_step=''
exec 3>&1

say() { printf '[set-up %2d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&3; }
die() { printf 'set-up: %s\n' "$@" >&2; in_step=''; exit 1; }

on_exit() {
    local status=$?
    [[ -z $heartbeat_pid ]] || kill "$heartbeat_pid" 2>/dev/null || true
    if [[ $status -ne 0 && -n $in_step ]]; then
        [[ ! -f $LOG ]] || tail -n 30 "$LOG" >&3
        say "failed: $in_step (exit status $status; all output: $LOG). Run it again to go on from here."
    fi
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Says every half minute that the step still runs. Waits on a pipe nobody writes to: a `sleep` would outlive us.
heartbeat() {
    local never
    exec {never}<> <(:)
    while read -rt 30 -u "$never" || kill -0 $$ 2>/dev/null; do say "  ... $1$(compiled "$1")"; done
}

compiled() {
    local plan
    [[ $1 == "$MMCV" ]] || return 0
    plan=$(ls -t "$CACHE"/build/*/src/build/temp*/build.ninja 2>/dev/null | head -n 1) || return 0
    printf ': %d of %d files compiled' "$(find "${plan%/*}" -name '*.o' | wc -l)" "$(grep -c '^build .*\.o:' "$plan")"
}

# step NAME TEXT INPUT COMMAND...: run COMMAND unless it ran before with the same INPUT, after the same steps.
step() {
    local stamp=$STAMPS/$1 text=$2
    chain=$(printf '%s\n' "$chain" "$3" | sha256sum | cut -d ' ' -f 1)
    shift 3
    if [[ -f $stamp && $(<"$stamp") == "$chain" ]]; then return; fi
    in_step=$text
    say "$text"
    heartbeat "$text" &
    heartbeat_pid=$!
    "$@" >>"$LOG" 2>&1
    kill "$heartbeat_pid" 2>/dev/null || true
    heartbeat_pid='' in_step=''
    echo "$chain" >"$stamp.part"
    mv "$stamp.part" "$stamp"
}

# The Python that .venv was made with goes first: the next `make test` may not name it, or run inside .venv.
find_python() {
    local candidate recorded
    recorded=$(cat "$STAMPS/python" 2>/dev/null) || true
    for candidate in ${PYTHON:-"$recorded" python3 python3.12 python3.11}; do
        if "$candidate" -c 'import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 12): sys.exit(1)
print(sys._base_executable)' 2>/dev/null; then return; fi
    done
    die "needs Python 3.11 or 3.12, found: $("${PYTHON:-python3}" --version 2>&1 | tail -n 1)." \
        'Install one of them with its venv module and headers, or name it: make setup PYTHON=/path/to/python3.12'
}

check_venv_module() {
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        die "$python has no venv module. On Debian or Ubuntu: apt install python3-venv"
}

# What the compile of mmcv needs, found out before anything long starts.
check_compiler() {
    local cc cxx=${CXX:-c++} include
    cc=${CC:-$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("CC").split()[0])')}
    for tool in "${cxx%% *}" "${cc%% *}"; do
        command -v "$tool" >/dev/null ||
            die "no compiler: '$tool' was not found, and there is no ready-made wheel of $MMCV for this Python." \
                'Install a C++ compiler (Debian or Ubuntu: apt install g++), or set CC and CXX,' \
                'or give pip a folder with such a wheel: PIP_FIND_LINKS=/path/to/folder'
    done
    include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    [[ -f $include/Python.h ]] ||
        die "no Python headers: there is no Python.h in $include. On Debian or Ubuntu: apt install python3-dev"
}

make_venv() {
    find .venv -mindepth 1 -maxdepth 1 ! -name .setup -exec rm -rf {} +
    find "$STAMPS" -type f ! -name log -delete
    "$python" -m venv .venv
    echo "$python" >"$STAMPS/python"
}

# A wheel that pip can find (index, PIP_FIND_LINKS) spares the compile. Asked anew until mmcv is installed: whoever is
# told that there is no compiler may come back with such a wheel.
look_for_mmcv_wheel() {
    compgen -G "$FOUND/*.whl" || "${PIP[@]}" download --no-deps --only-binary :all: --dest "$FOUND" "$MMCV" ||
        echo 'mmcv: no wheel found'
}

default_jobs() {
    awk -v cores="$(nproc)" '/^MemAvailable/ { jobs = int($2 / 2e6) } END {
        print jobs < 1 ? 1 : (jobs > cores ? cores : jobs) }' /proc/meminfo
}

# cuda: mmcv's operators are built for the GPU too. Needs a GPU and the nvcc of the major version torch was built with.
mmcv_flavour() {
    .venv/bin/python - <<'PYTHON' 2>/dev/null
import os, re, subprocess, torch
from torch.utils.cpp_extension import CUDA_HOME
flavour = 'cpu'
if torch.cuda.is_available() and CUDA_HOME and os.access(f'{CUDA_HOME}/bin/nvcc', os.X_OK):
    release = re.search(r'release (\d+)', subprocess.run([f'{CUDA_HOME}/bin/nvcc', '--version'],
                                                         capture_output=True, text=True).stdout)
    flavour = 'cuda' if release and release[1] == torch.version.cuda.split('.')[0] else 'cpu'
print(flavour)
PYTHON
}

has_mmcv_wheel() {
    local torch tag
    torch=$(grep -E '^torch==' requirements/base.txt)
    tag=$("$python" -c 'import sys; print(f"cp{sys.version_info[0]}{sys.version_info[1]}")')
    compgen -G "$FOUND/*.whl" >/dev/null ||
        compgen -G "$CACHE/wheels/${MMCV/==/-}-*-${torch/==/}*-$tag-*/*.whl" >/dev/null
}

try_mmcv() {
    [[ -f $1 ]] && "${PIP[@]}" install --no-deps --force-reinstall "$1" && .venv/bin/python -c 'import mmcv.ops'
}

# Builds in a folder that stays, so that ninja finds what an interrupted run compiled.
build_mmcv() {
    local build=$1 wheels=$2 flavour=$3
    mkdir -p "$build" "$wheels"
    exec 8>"$build.lock"
    flock --nonblock 8 || { say '  ... another set-up compiles mmcv, waiting for it'; flock 8; }
    if compgen -G "$wheels/*.whl" >/dev/null; then return; fi
    if [[ ! -f $build/unpacked ]]; then
        rm -rf "$build"
        mkdir -p "$build/src"
        "${PIP[@]}" download --no-deps --no-build-isolation --no-binary "${MMCV%%==*}" --dest "$build" "$MMCV"
        tar -xzf "$build"/*.tar.gz --strip-components=1 -C "$build/src"
        touch "$build/unpacked"
    fi
    if [[ $flavour == cpu ]]; then export CUDA_VISIBLE_DEVICES=''; fi
    # Without debugging symbols, which Python's own flags ask for, a file compiles in little more than half the time.
    MAX_JOBS=${MAX_JOBS:-$(default_jobs)} CFLAGS="${CFLAGS:-} -g0" PATH=$PWD/.venv/bin:$PATH \
        "${PIP[@]}" wheel --verbose --no-deps --no-build-isolation --wheel-dir "$build/wheel" "$build/src"
    mv "$build"/wheel/*.whl "$wheels/"
    rm -rf "$build"
}

install_mmcv() {
    local flavour key
    flavour=$(mmcv_flavour)
    key=${MMCV/==/-}-$flavour-$(.venv/bin/python -c 'import platform, sys, torch
print(f"torch{torch.__version__}-cp{sys.version_info[0]}{sys.version_info[1]}-{platform.machine()}")')
    look_for_mmcv_wheel
    if try_mmcv "$(compgen -G "$FOUND/*.whl")"; then return; fi
    if try_mmcv "$(compgen -G "$CACHE/wheels/$key/*.whl")"; then return; fi
    rm -rf "$CACHE/wheels/$key"
    say "  ... compiling $MMCV once ($flavour, ${MAX_JOBS:-$(default_jobs)} jobs); about 10 minutes on two cores"
    build_mmcv "$CACHE/build/$key" "$CACHE/wheels/$key" "$flavour"
    try_mmcv "$(compgen -G "$CACHE/wheels/$key/*.whl")"
}

# Two distributions bring the same cv2; the last one wins, and only the headless one runs without a graphics library.
install_project() {
    "${PIP[@]}" install -c requirements/constraints.txt --no-build-isolation -e '.[demo,test]'
    "${PIP[@]}" install -c requirements/constraints.txt --no-deps --force-reinstall opencv-python-headless
    "${PIP[@]}" check
    .venv/bin/python -c 'import agssp_mm, cv2, mmcv.ops, mmdet.apis, mmpretrain.apis'
}

main() {
    exec 9<tools/setup_env.sh
    flock --nonblock 9 || { say 'another set-up runs in this checkout, waiting for it'; flock 9; }
    python=$(find_python)
    check_venv_module
    mkdir -p "$STAMPS"
    local constraints openmmlab
    constraints=$(<requirements/constraints.txt)
    openmmlab=$(grep -vE '^(#|onedl-mmcv==)' requirements/openmmlab.txt)
    step venv 'a virtual environment in .venv' "$PWD $("$python" -VV) $python" make_venv
    if [[ ! -f $STAMPS/mmcv ]]; then
        look_for_mmcv_wheel >>"$LOG" 2>&1
        has_mmcv_wheel || check_compiler
    fi
    step base 'PyTorch and build tools (2 GB to download)' "$(<requirements/base.txt) $constraints" \
        "${PIP[@]}" install -c requirements/constraints.txt -r requirements/base.txt
    step openmmlab 'MMEngine, MMDetection, MMPretrain' "$openmmlab" \
        "${PIP[@]}" install -c requirements/constraints.txt --no-build-isolation $openmmlab
    step mmcv "$MMCV" '' install_mmcv
    step project 'agssp_mm with extras demo and test' "$(<setup.py)" install_project
    step tools 'what builds the documentation and checks the code' "$(<requirements/docs.txt) $(<requirements/lint.txt)" \
        "${PIP[@]}" install -c requirements/constraints.txt -r requirements/docs.txt -r requirements/lint.txt
}

main "$@"
