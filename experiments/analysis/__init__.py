"""Analyses of a whole table: pure functions from arrays to numbers (NARes, section 4)."""
