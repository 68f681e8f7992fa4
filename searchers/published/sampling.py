"""The authors' random draws, call for call (NARes, section 5).

Spaces other than the published one are allowed: a vector has `space.dimensions`
entries instead of six, and what a restricted space leaves out is drawn again (sampling,
random neighbours) or left out (neighbour lists).  On a full space with two or more
values per entry nothing is ever drawn again, hence the calls are the authors'.
"""

from __future__ import annotations

import random
from collections.abc import Container

from nasbench_ar.architecture import Architecture
from nasbench_ar.space import SearchSpace


def sample(space: SearchSpace, rng: random.Random) -> Architecture:
    """One architecture: `choice` for each entry, in the order of the vector."""
    while True:
        drawn = Architecture(*(rng.choice(space.choices(p)) for p in range(space.dimensions)))
        if space.members is None or drawn in space:
            return drawn


def sample_unseen(space: SearchSpace, rng: random.Random, seen: Container[Architecture]) -> Architecture:
    """`sample` until the architecture is new; there must be one."""
    while (drawn := sample(space, rng)) in seen:
        pass
    return drawn


def shuffled_neighbours(space: SearchSpace, rng: random.Random, architecture: Architecture) -> list[Architecture]:
    """All that differ in one entry, by position, then ascending by value, then `shuffle`."""
    neighbours = space.neighbours(architecture)
    rng.shuffle(neighbours)
    return neighbours


def random_neighbour(space: SearchSpace, rng: random.Random, architecture: Architecture) -> Architecture:
    """`randint` for the position, then `choice` among its other values, ascending.

    In a restricted space, where an architecture may have no neighbour at all, any member
    is drawn then; the authors' space has none such.
    """
    unusual = space.members is not None or 1 in (len(space.depth_choices), len(space.width_choices))
    if unusual and not space.neighbours(architecture):
        return sample(space, rng)
    while True:
        position = rng.randint(0, space.dimensions - 1)
        others = [value for value in space.choices(position) if value != architecture[position]]
        if others:
            entries = list(architecture)
            entries[position] = rng.choice(others)
            neighbour = Architecture(*entries)
            if space.members is None or neighbour in space:
                return neighbour
