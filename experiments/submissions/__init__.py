"""Entries of a leaderboard: written, checked, and made into a page."""
