#!/usr/bin/env bash
# A grid of the transfer benchmark on a machine of its own, in one go: set-up, maps, trainings within a time limit.
#
#   AGSSP_DATA_ROOT=data tools/benchmarks/transfer_grid.sh OUT MINUTES [DATASET] [options of transfer.py ...]
#
# Lines, table and curve lie in OUT, the trainings in OUT/work; the same call goes on where the last one stopped.
# PYTHON names an environment that is ready; without it .venv is set up first. GPUs train in mixed precision.
set -euo pipefail

if [[ $# -lt 2 || ! $2 =~ ^[0-9]+$ ]]; then
    echo "usage: $0 OUT MINUTES [DATASET] [options of transfer.py ...]" >&2
    exit 2
fi
mkdir -p "$1"
out=$(cd "$1" && pwd) minutes=$2 dataset=neu_det
shift 2
if [[ $# -gt 0 && $1 != -* ]]; then
    dataset=$1
    shift
fi
data=$(cd "${AGSSP_DATA_ROOT:-data}" && pwd)
export AGSSP_DATA_ROOT=$data
started=$SECONDS
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ -z ${PYTHON:-} ]]; then
    tools/setup_env.sh
    PYTHON=.venv/bin/python
fi

amp=()
if "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then amp=(--amp); fi
"$PYTHON" tools/generate_maps.py "$data/$dataset/images/train" "$out/maps"
left=$((minutes - (SECONDS - started) / 60))
"$PYTHON" tools/benchmarks/transfer.py --dataset "$dataset" --store "$out/maps" --out "$out/$dataset.jsonl" \
    --work-dir "$out/work" --time-limit "$((left > 1 ? left : 1))" ${amp[@]+"${amp[@]}"} "$@"
if [[ -s $out/$dataset.jsonl ]]; then
    "$PYTHON" tools/benchmarks/transfer.py --summary "$out/$dataset.jsonl" --page "$out/$dataset.md" \
        --curve "$out/$dataset.png"
fi
