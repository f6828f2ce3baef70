#!/bin/bash
# The benchmark of experiments/annotators as an array job; each task takes every 40th run, one after the other.
#   sbatch experiments/slurm/annotators.sh grid   (or ablation; of the first protocol: search, then final)
# Tasks may be stopped and sent again: rows that are there are not repeated. One row alone: --array=7-7 with SHARDS
# set to the number of runs.
#SBATCH --job-name=hilmix-annotators
#SBATCH --array=0-39
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=02:00:00
#SBATCH --output=runs/slurm/%x-%A-%a.log
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?start it with sbatch from the root of the repository}"
export OMP_NUM_THREADS=1
exec python -m experiments.annotators "${1:?grid, ablation, search or final}" --root "${ROOT:-data/annotators}" --workers 1 \
    --shard "$SLURM_ARRAY_TASK_ID" "${SHARDS:-40}"
