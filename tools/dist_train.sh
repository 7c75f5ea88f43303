#!/usr/bin/env bash
# Train with several processes: dist_train.sh CONFIG PROCESSES [arguments of train.py]
# More than one machine: set NNODES, NODE_RANK, MASTER_ADDR (and PORT), as torchrun has them.
set -euo pipefail
if [[ $# -lt 2 ]]; then
    echo 'usage: dist_train.sh CONFIG PROCESSES [arguments of train.py]' >&2
    exit 2
fi
config=$1 processes=$2
shift 2
if [[ ${NNODES:-1} == 1 ]]; then
    meeting=(--standalone)
else
    meeting=(--nnodes="$NNODES" --node_rank="$NODE_RANK" --master_addr="$MASTER_ADDR" --master_port="${PORT:-29500}")
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${meeting[@]}" --nproc_per_node="$processes" \
    "$(dirname "${BASH_SOURCE[0]}")/train.py" "$config" --launcher pytorch "$@"
