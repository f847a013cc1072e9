"""Write the series on which the default options of `rtrl train` were chosen and checked.

    python3 benches/peers/series.py FOLDER

writes one CSV file of 20 000 rows for each series below, from fixed seeds. The sunspots are in
`data/`, and `rtrl tasks emit` writes henon, mackey-glass, lorenz and narma-10. Only the standard
library is needed.
"""

import math
import random
import sys
from pathlib import Path

ROWS = 20_000


def xor(draw):
    """A random bit x, and the exclusive or of those two and four rows before as y."""
    x = [draw.randint(0, 1) for _ in range(ROWS)]
    return "x,y", [(x[t], x[t - 2] ^ x[t - 4] if t >= 4 else 0) for t in range(ROWS)]


def parity(draw):
    """A random bit x, and the parity of this and the last two as y: for `--horizon 0`."""
    x = [draw.randint(0, 1) for _ in range(ROWS)]
    return "x,y", [(x[t], x[t] ^ x[t - 1] ^ x[t - 2]) for t in range(ROWS)]


def ar2(draw):
    """A stochastic oscillation: v(t) = 1.6 v(t-1) - 0.8 v(t-2) + noise of deviation 1."""
    rows, now, before = [], 0.0, 0.0
    for _ in range(ROWS):
        now, before = 1.6 * now - 0.8 * before + draw.gauss(0, 1), now
        rows.append((now,))
    return "v", rows


def ma2(draw):
    """A moving average: v(t) = e(t) + 0.8 e(t-1) - 0.5 e(t-2), e of deviation 1."""
    e = [draw.gauss(0, 1) for _ in range(ROWS + 2)]
    return "v", [(e[t + 2] + 0.8 * e[t + 1] - 0.5 * e[t],) for t in range(ROWS)]


def season(draw):
    """Periods of 24 and 168 rows, one within the other, and noise of deviation 0.3."""
    def value(t):
        day, week = math.sin(2 * math.pi * t / 24), math.sin(2 * math.pi * t / 168)
        return 10 + 3 * day + 2 * week * day + draw.gauss(0, 0.3)
    return "v", [(value(t),) for t in range(ROWS)]


def walk(draw):
    """A random walk with steps of deviation 1: nothing can beat the last value."""
    rows, now = [], 0.0
    for _ in range(ROWS):
        now += draw.gauss(0, 1)
        rows.append((now,))
    return "v", rows


def logistic(_):
    """The logistic map x -> 3.9 x (1 - x)."""
    rows, now = [], 0.3
    for _ in range(ROWS):
        now = 3.9 * now * (1 - now)
        rows.append((now,))
    return "v", rows


def threshold(draw):
    """An autoregression with two regimes: 0.9 v + 0.8 below 0, else -0.8 v; noise of deviation 0.5."""
    rows, now = [], 0.0
    for _ in range(ROWS):
        now = (0.9 * now + 0.8 if now < 0 else -0.8 * now) + draw.gauss(0, 0.5)
        rows.append((now,))
    return "v", rows


def switch(draw):
    """A sine whose period changes between 12 and 30 every 1000 rows; noise of deviation 0.1."""
    rows, phase = [], 0.0
    for t in range(ROWS):
        phase += 2 * math.pi / (12 if t // 1000 % 2 else 30)
        rows.append((math.sin(phase) + draw.gauss(0, 0.1),))
    return "v", rows


def square(draw):
    """Seven rows of 0, seven of 1, and noise of deviation 0.05."""
    return "v", [(t // 7 % 2 + draw.gauss(0, 0.05),) for t in range(ROWS)]


SERIES = [xor, ar2, season, walk, parity, ma2, logistic, threshold, switch, square]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: python3 benches/peers/series.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in SERIES:
        header, rows = make(random.Random(make.__name__))
        lines = [",".join(f"{value:.12g}" for value in row) for row in rows]
        (folder / f"{make.__name__}.csv").write_text("\n".join([header, *lines, ""]))


if __name__ == "__main__":
    main()
