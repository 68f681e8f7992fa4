"""The authors' random draws, call for call (NARes, section 5).

Other spaces than the published one are allowed: a vector has `space.dimensions` entries instead of six; sampling and
random neighbours draw again what a restricted space leaves out, neighbour lists omit it.  A full space with two or
more values per entry never draws again, so there the calls are the authors'.
"""

from __future__ import annotations

import random
from collections.abc import Container

from nasbench_ar.architecture import Architecture
from nasbench_ar.grid import Grid


def sample(space: Grid, rng: random.Random) -> Architecture:
    """One `choice` for each entry, in the order of the vector."""
    while True:
        drawn = space.compose(rng.choice(space.choices(p)) for p in range(space.dimensions))
        if space.members is None or drawn in space:
            return drawn


def sample_unseen(space: Grid, rng: random.Random, seen: Container[Architecture]) -> Architecture:
    """`sample` until the architecture is new; there must be one."""
    while (drawn := sample(space, rng)) in seen:
        pass
    return drawn


def shuffled_neighbours(space: Grid, rng: random.Random, architecture: Architecture) -> list[Architecture]:
    """All that differ in one entry, by position, then ascending by value, then `shuffle`."""
    neighbours = space.neighbours(architecture)
    rng.shuffle(neighbours)
    return neighbours


def random_neighbour(space: Grid, rng: random.Random, architecture: Architecture) -> Architecture:
    """`randint` for the position, then `choice` among its other values, ascending; any member without neighbour."""
    unusual = space.members is not None or any(len(entry.choices) == 1 for entry in space.entries)
    if unusual and not space.neighbours(architecture):
        return sample(space, rng)
    while True:
        position = rng.randint(0, space.dimensions - 1)
        others = [value for value in space.choices(position) if value != architecture[position]]
        if others:
            entries = list(architecture)
            entries[position] = rng.choice(others)
            neighbour = space.compose(entries)
            if space.members is None or neighbour in space:
                return neighbour
