"""Attacks on a trained network, and what they leave of its accuracy."""
