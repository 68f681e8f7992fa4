#!/usr/bin/env bash
# From a bare clone to the first result: seconds and sizes of installing two commits, without caches, and of the
# README's first command.
#
#     benchmarks/install.sh af65f6c HEAD
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONPATH

echo "\$ benchmarks/install.sh $*"
python3 -c 'from benchmarks.environment import *; print(f"cpu: {cpu_model()}, {usable_cpus()} cores usable")'
echo "system: $(uname -sr), $(python3 --version)"
for commit in "$@"; do
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    git clone -q . "$folder/clone"
    git -C "$folder/clone" checkout -q "$commit"
    export NASBENCH_AR_HOME="$folder/home"
    (
        cd "$folder/clone"
        begun=$(date +%s%N)
        python3 -m venv .venv && . .venv/bin/activate
        pip install --quiet --no-cache-dir -e .
        installed=$(date +%s%N)
        python -m experiments.run searcher=bananas runs=400 >/dev/null 2>&1
        ended=$(date +%s%N)
        test -s results/nares-figures/bananas/summary.csv
        echo
        git log -1 --format='%h'
        awk -v a="$begun" -v b="$installed" -v c="$ended" 'BEGIN {
            printf "  venv and pip install   %6.1f s\n  400 runs of BANANAS    %6.1f s\n", (b - a) / 1e9, (c - b) / 1e9
            printf "  together               %6.1f s\n", (c - a) / 1e9 }'
        echo "  packages               $(pip list --format=freeze --disable-pip-version-check | wc -l), $(du -sm .venv | cut -f1) MiB"
    )
    rm -rf "$folder"
done
