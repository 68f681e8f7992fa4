"""Multi-fidelity search: races under a budget of training, on tables with learning curves.

`python -m experiments.fidelity` runs them, `.compare` lays stored ones side by side, and
`.ranks` tells how far early epochs foretell a table's final ranking.
"""
