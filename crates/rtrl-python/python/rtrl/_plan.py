"""How a learner computes its sensitivities."""

from dataclasses import dataclass, field
from typing import NamedTuple


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
    """Bytes of the sensitivities of all streams; of a custom engine 0."""
    bytes: int
    """Bytes of everything that the engines of all streams hold."""
    operations: int
    """Floating-point operations for the sensitivities and the gradient in a step of one stream
    with a target, on average."""
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


MOST_KINDS = 8


def kinds_of_blocks(plan: EnginePlan) -> list[str]:
    """The lines about the blocks of a divided network, one for each group of equal blocks that
    follow each other; the first ones if there are many."""
    if len(plan.blocks) < 2:
        return []
    kinds = plan.text.splitlines()[1:]
    more = len(kinds) - MOST_KINDS
    return kinds[:MOST_KINDS] + ([f"  and {more} more"] if more > 0 else [])
