#!/bin/bash
#SBATCH --job-name=mfsynth
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
# Builds one data set with an array of Slurm jobs. Change the settings, then run this where jobs are submitted:
#
#     bash slurm.sh
#
# It submits itself twice: as an array whose jobs make a part each, and as a job that merges the parts when all
# of them have succeeded. To make part 3 again, which keeps its finished shards, and to merge afterwards:
#
#     sbatch --array=3 slurm.sh part
#     sbatch slurm.sh merge
set -euo pipefail

SPLIT=${SPLIT:-train2017}
COCO=${COCO:-$HOME/coco}     # downloaded beforehand, with `mfsynth download`
OUT=${OUT:-$PWD/out/$SPLIT}  # on a file system that all nodes share, or a URL
SHARDS=${SHARDS:-128}
JOBS=${JOBS:-16}
OPTIONS=(--store pairs)      # what else the data set should be; the same for all parts

case ${1:-submit} in
submit)
    array=$(sbatch --parsable --array="0-$((JOBS - 1))" "$0" part)
    sbatch --dependency="afterok:${array%%;*}" "$0" merge
    ;;
part)
    # Not SLURM_ARRAY_TASK_COUNT: it is 1 where one part is made again.
    first=$((SHARDS * SLURM_ARRAY_TASK_ID / JOBS))
    stop=$((SHARDS * (SLURM_ARRAY_TASK_ID + 1) / JOBS))
    ((first < stop)) || exit 0 # there are more jobs than shards
    exec mfsynth build --split "$SPLIT" --coco "$COCO" --out "$OUT" "${OPTIONS[@]}" \
        --shards "$SHARDS" --shard-range "$first:$stop" --workers "${SLURM_CPUS_PER_TASK:-1}"
    ;;
merge)
    exec mfsynth merge "$OUT" --workers "${SLURM_CPUS_PER_TASK:-1}"
    ;;
*)
    echo "usage: $0 [submit|part|merge]" >&2
    exit 2
    ;;
esac
