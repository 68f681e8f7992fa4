"""Intervals, tests, effect sizes, ranks and power."""
