#!/bin/bash
# A SLURM array whose tasks fill one store together, each with one training at a time:
#
#   sbatch --array=0-7 --gpus-per-task=1 examples/slurm.sh archs=all profile=cifar10 store=/shared/entries
#
# All words after the script are those of datagen.run. An hour before the time limit, the
# task is asked to end at its next checkpoint and puts itself into the queue again; one that is
# preempted, or whose node fails, is put there by SLURM. Either way it goes on from the
# last checkpoint, its own or another task's.

#SBATCH --job-name=datagen
#SBATCH --ntasks=1
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@3600
#SBATCH --requeue
#SBATCH --open-mode=append

worker=
asked=no
trap 'asked=yes; kill -USR1 "$worker"' USR1
trap 'kill -TERM "$worker"' TERM

python -m datagen.run "$@" &
worker=$!
wait "$worker"
code=$?
while kill -0 "$worker" 2>/dev/null; do # a signal ends wait, not the worker
    wait "$worker"
    code=$?
done

# 3: not everything has an entry yet. Without having been asked to end, others are at the rest (wait=false).
if [ "$code" -eq 3 ] && [ "$asked" = yes ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
