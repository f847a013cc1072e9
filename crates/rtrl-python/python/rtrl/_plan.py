"""How a learner computes its sensitivities."""

from dataclasses import dataclass, field
from typing import NamedTuple

_MOST_KINDS = 8


class BlockPlan(NamedTuple):
    """Weight rows with a separate engine."""

    engine: str
    states: int
    """States in which the sensitivities of these rows can differ from 0."""
    rows: int
    weights: int
    """Weights that learn in these rows."""


@dataclass(frozen=True)
class EnginePlan:
    """The engines of a learner. As text, it is what ``rtrl train --verbose`` prints."""

    blocks: tuple[BlockPlan, ...]
    """A single one if the network is not divided, and none if no weight of its units learns."""
    sensitivity_bytes: int
    """Bytes of the sensitivities of all streams."""
    bytes: int
    """Bytes of everything that the engines of all streams hold."""
    operations: int
    """Floating-point operations for the sensitivities and the gradient in a step of one stream
    with a target, on average."""
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


def lines_of_blocks(kinds: list[tuple[int, str, int, int, int]]) -> list[str]:
    """A line for each group of equal blocks that follow each other: their number and engine, and
    the states, rows and weights of one. Of many groups, only the first ones."""
    lines = [
        f"  {count} x {engine}: {states} states, {rows} weight rows, {weights} weights that learn"
        for count, engine, states, rows, weights in kinds[:_MOST_KINDS]
    ]
    more = len(kinds) - _MOST_KINDS
    return lines + ([f"  and {more} more"] if more > 0 else [])
