#!/usr/bin/env bash
# The tests with the oldest, or the newest, versions of all libraries that pyproject.toml allows, in an environment of
# their own:
#
#     scripts/try_versions.sh oldest 3.11
#     scripts/try_versions.sh newest 3.13 [arguments for pytest]
#
# Oldest means the lower bounds of what is asked for directly.  What those libraries ask for themselves is new, so that
# old libraries warn of it: such warnings are no failures there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
    oldest) resolution=lowest-direct warnings=(-W "ignore::DeprecationWarning") ;;
    newest) resolution=highest warnings=() ;;
    *) echo "usage: $0 oldest|newest PYTHON [arguments for pytest]" >&2; exit 2 ;;
esac
python=${2:?which Python, such as 3.11}
shift 2

environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
python3 -m venv "$environment/tools"
"$environment/tools/bin/python" -m pip install --quiet uv
uv() { "$environment/tools/bin/uv" "$@"; }
uv venv --quiet --seed --python "$python" "$environment/venv"
uv pip install --quiet --python "$environment/venv" --resolution "$resolution" -e ".[test]"

unset PYTHONPATH
export NASBENCH_AR_HOME="$environment/home" PATH="$environment/venv/bin:$PATH"
python --version
uv pip list --quiet --python "$environment/venv" | grep -E \
    '^(botorch|cloudpickle|cmaes|dask|distributed|hypothesis|iohinspector|jinja2|joblib|matplotlib|moocore|nevergrad|numpy|optuna|orjson|pandas|pillow|platformdirs|plotly|pyautoattack|pytest|pyyaml|scikit-learn|scipy|selenium|threadpoolctl|torch|torchvision|tqdm) '
python -m pytest "${warnings[@]}" "$@"
