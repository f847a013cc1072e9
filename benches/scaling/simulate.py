"""Predicts how long a step of a sharded learner takes, and checks the model against measurements.

    python3 benches/scaling/simulate.py

Needs only Python. The constants and the measurements are those of docs/scaling.md, made with the
example `measure` of crates/rtrl-mpi. The networks have n simple units, 8 inputs, a bias and a
target for every unit, learn at every step in float32, and are flushed every 64 steps.
"""

from dataclasses import dataclass
from math import ceil, log2

WINDOW = 64
# Bytes of memory of a rank, and of the cache in which p may be.
LIMIT = 64e9
CACHE = 100e6
BYTES = 4


@dataclass(frozen=True)
class Rank:
    """The speed of a rank."""

    read: float  # bytes of p per second, from memory
    cached: float  # the same where p of the rank is smaller than the cache
    back: float  # bytes of Jacobians per second, in the backward pass through the window
    chain: dict[int, float]  # operations per second in the products of Jacobians, by units
    columns: float  # operations per second in moving the columns of p
    weight: float  # seconds per weight: forward pass, errors, update, gradient


@dataclass(frozen=True)
class Net:
    """An interconnect: seconds per message, and bytes per second into a rank."""

    name: str
    latency: float
    bandwidth: float


# Measured on one core of an Intel Xeon (Emerald Rapids).
CORE = Rank(
    read=14e9, cached=28e9, back=25e9, chain={256: 155e9, 512: 78e9, 1024: 39e9}, columns=160e9, weight=0.7e-9,
)
# Not measured: as if the chain had the speed of the columns.
FAST = Rank(
    read=14e9, cached=28e9, back=25e9, chain={256: 160e9}, columns=160e9, weight=0.7e-9,
)
# Measured between two ranks on that machine.
MEMORY = Net("memory", latency=1e-6, bandwidth=4.3e9)
# Assumed.
NETS = [
    Net("10 Gbit/s", latency=30e-6, bandwidth=1.1e9),
    Net("100 Gbit/s", latency=2e-6, bandwidth=11e9),
]

# Units, ranks, and milliseconds: of a step with its share of the flush, and of one without.
PARTS = [
    (256, 1, 4.110, 2.735),
    (256, 4, 1.432, 0.964),
    (256, 16, 0.770, 0.477),
    (256, 64, 0.587, 0.353),
    (512, 1, 56.205, 37.604),
    (512, 4, 16.553, 8.198),
    (512, 16, 7.903, 2.831),
    (512, 64, 5.507, 1.815),
    (1024, 8, 128.752, 45.684),
    (1024, 64, 70.390, 11.884),
]
# Units, and milliseconds of a step of two ranks on two cores: the median of five runs.
TWO = [(256, 2.550), (512, 33.185)]


def shape(n, ranks):
    """Columns of W, and columns of p of the rank that has most."""
    c = n + 9
    return c, ceil(n / ranks) * c


def compute(rank, n, ranks):
    """Seconds of a step without the flush, and of the flush per step."""
    c, own = shape(n, ranks)
    back = BYTES * (WINDOW / 2) * n * n / rank.back
    # A multiplication and an addition for each column in each record of half a window.
    records = WINDOW * own / rank.columns
    p = BYTES * n * own
    read = p / (rank.cached if p < CACHE else rank.read)
    step = rank.weight * n * c + back + records + read
    speed = [rate for units, rate in sorted(rank.chain.items()) if units <= n][-1]
    chain = 2 * n**3 / speed
    columns = (2 * n * n * own / WINDOW + 2 * n * own) / rank.columns
    return step, chain + columns


def exchange(net, n, ranks):
    """Seconds of the agreement and of gathering the gradient, in a ring or in log2(ranks) rounds."""
    if ranks == 1:
        return 0.0
    c, _ = shape(n, ranks)
    rounds = ceil(log2(ranks))
    volume = BYTES * n * c * (ranks - 1) / ranks / net.bandwidth
    return 2 * rounds * net.latency + min(ranks - 1, rounds) * net.latency + volume


def total(rank, net, n, ranks):
    return sum(compute(rank, n, ranks)) + exchange(net, n, ranks)


def memory(n, ranks):
    """Bytes of a rank: p, the window, and the chain of a flush."""
    _, own = shape(n, ranks)
    return BYTES * (n * own + (2 * WINDOW + 1) * n * n)


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def milliseconds(seconds):
    return f"{seconds * 1e3:.3g}"


def check():
    print("Computation of one of R ranks, measured and predicted (ms):\n")
    rows = []
    for n, ranks, whole, plain in PARTS:
        step, flush = compute(CORE, n, ranks)
        predicted = [milliseconds(step), milliseconds(step + flush)]
        rows.append([str(n), str(ranks), f"{plain:.3g}", predicted[0], f"{whole:.3g}", predicted[1]])
    table(["n", "R", "without flush", "predicted", "with flush", "predicted"], rows)
    print("Whole steps of two ranks on two cores (ms):\n")
    rows = [[str(n), f"{whole:.3g}", milliseconds(total(CORE, MEMORY, n, 2))] for n, whole in TWO]
    table(["n", "measured", "predicted"], rows)


def strong(rank, net, what):
    print(f"Milliseconds of a step and (efficiency), {net.name}, {what}:\n")
    counts = [1, 4, 16, 64, 256, 1024]
    rows = []
    for n in (1024, 2048, 4096, 8192, 16384):
        cells = [str(n)]
        for ranks in counts:
            if memory(n, ranks) > LIMIT:
                cells.append(f"{memory(n, ranks) / 1e9:.0f} GB")
                continue
            time = total(rank, net, n, ranks)
            alone = sum(compute(rank, n, 1))
            cells.append(f"{milliseconds(time)} ({alone / time / ranks:.0%})")
        rows.append(cells)
    table(["n"] + [f"R = {ranks}" for ranks in counts], rows)


def weak():
    """R grows with n³, so that p of a rank keeps its size; one core for 1024 units."""
    rows = []
    for n in (1024, 2048, 4096, 8192, 10240):
        ranks = min(1024, round((n / 1024) ** 3))
        step, flush = compute(CORE, n, ranks)
        cells = [str(n), str(ranks), f"{memory(n, ranks) / 1e9:.1f}", milliseconds(step), milliseconds(flush)]
        cells += [milliseconds(exchange(net, n, ranks)) for net in NETS]
        rows.append(cells)
    print("The same p on every rank:\n")
    table(["n", "R", "GB a rank", "step (ms)", "flush (ms)"] + [f"{net.name} (ms)" for net in NETS], rows)


def share(net):
    """For each R, the largest n at which the exchange takes more than a tenth of the step."""
    cells = []
    for ranks in (2, 4, 16, 64, 256, 1024):
        sizes = range(256, 16385, 64)
        slow = [n for n in sizes if n >= ranks and exchange(net, n, ranks) > 0.1 * total(CORE, net, n, ranks)]
        cells.append(str(slow[-1]) if slow else "none")
    return [net.name] + cells


if __name__ == "__main__":
    check()
    for net in NETS:
        strong(CORE, net, "as measured")
    strong(FAST, NETS[1], "with a chain as fast as the columns")
    weak()
    print("The largest n at which the exchange takes more than a tenth of the step:\n")
    table(["network"] + [f"R = {ranks}" for ranks in (2, 4, 16, 64, 256, 1024)], [share(net) for net in NETS])
