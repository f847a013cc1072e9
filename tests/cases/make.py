#!/usr/bin/env python3
"""Write the conformance cases beside this file; with --check, say whether they are up to date.

Everything a case expects is computed here, by a second implementation that shares nothing with the
Rust code: plain loops over Python floats, in the symbols of docs/equations.md, whose numbers 1 to 6
stand beside the lines that compute them. docs/conformance.md describes the files.

The files come out the same on every machine. Each sum is `math.fsum`, which rounds once; each
exponential and logarithm is worked out to 60 decimal digits and then rounded to a float; each
random number comes from `random.Random(seed).random()`.

Before a file is written, its gradients are compared with complex-step derivatives of the loss, and
nothing is written if they differ.
"""

import argparse
import cmath
import decimal
import json
import math
import random
import sys
from decimal import Decimal
from pathlib import Path
from typing import Callable, NamedTuple, Optional

HERE = Path(__file__).resolve().parent
DIGITS = decimal.Context(prec=60)
COMPLEX_STEP = 1e-30
AGREEMENT = 1e-12
# A ReLU whose input is nearer to 0 than this, but not 0, could switch in single precision.
KINK = 1e-3


# The network


class Activation(NamedTuple):
    """f and f'; for a smooth f also its continuation to complex numbers."""

    value: Callable[[float], float]
    slope: Callable[[float, float], float]  # from s and y = f(s)
    extended: Optional[Callable[[complex], complex]]


def logistic_digits(s):
    return DIGITS.divide(1, DIGITS.add(1, DIGITS.exp(Decimal(-s))))


def logistic(s):
    return float(logistic_digits(s))


def tanh(s):
    return float(DIGITS.subtract(DIGITS.multiply(2, logistic_digits(2 * s)), 1))


def softplus(s):
    return float(DIGITS.ln(DIGITS.add(1, DIGITS.exp(Decimal(s)))))


ACTIVATIONS = {
    "logistic": Activation(logistic, lambda s, y: y * (1 - y), lambda s: 1 / (1 + cmath.exp(-s))),
    "tanh": Activation(tanh, lambda s, y: 1 - y * y, cmath.tanh),
    "relu": Activation(lambda s: max(s, 0.0), lambda s, y: 1.0 if s > 0 else 0.0, None),
    "identity": Activation(lambda s: s, lambda s, y: 1.0, lambda s: s),
    "softplus": Activation(
        softplus, lambda s, y: logistic(s), lambda s: cmath.log(1 + cmath.exp(s))
    ),
}


def activations(case):
    """f_k of every unit."""
    names = case["activation"]
    names = [names] * case["units"] if isinstance(names, str) else names
    return [ACTIVATIONS[name] for name in names]


def leaks(case):
    """a_k of every unit."""
    leak = case.get("leak", 1.0)
    return leak if isinstance(leak, list) else [leak] * case["units"]


def fixed_columns(case):
    """Inputs and bias: the columns of W in front of those of the units."""
    return case["inputs"] + case["bias"]


def present(case):
    """n x c: whether the weight exists."""
    columns = fixed_columns(case) + case["units"]
    everything = [[1] * columns for _ in range(case["units"])]
    return [[bool(flag) for flag in row] for row in case.get("connections", everything)]


def masked(case):
    """The case with a mask in place of heads, of which nothing else here knows."""
    if "heads_of" not in case:
        return case
    head, first = case["heads_of"], fixed_columns(case)
    mask = [
        [int(there and (j < first or (j - first) // head == k // head)) for j, there in enumerate(row)]
        for k, row in enumerate(present(case))
    ]
    rest = {field: value for field, value in case.items() if field != "heads_of"}
    return {**rest, "connections": mask}


def learning(case):
    """n x c: whether the weight exists and may change."""
    exists = present(case)
    if "frozen" not in case:
        return exists
    rows = zip(exists, case["frozen"])
    return [[there and not held for there, held in zip(*row)] for row in rows]


def initial_weights(case):
    """W with 0 for every absent weight, whatever the case says there."""
    rows = zip(case["weights"], present(case))
    return [[w if there else 0.0 for w, there in zip(*row)] for row in rows]


def zeros(*shape):
    if len(shape) == 1:
        return [0.0] * shape[0]
    return [zeros(*shape[1:]) for _ in range(shape[0])]


# The learner


class Stretch(NamedTuple):
    """Consecutive steps without a reset in between."""

    first: int
    state: list
    weights: list


class Learner:
    """One network that learns; the attributes have the names of docs/equations.md."""

    def __init__(self, case):
        self.case = case
        self.n = case["units"]
        self.fixed = fixed_columns(case)
        self.c = self.fixed + self.n
        self.f = activations(case)
        self.a = leaks(case)
        self.learning = learning(case)
        self.w = initial_weights(case)
        self.gradient = zeros(self.n, self.c)  # added up since the last update
        self.waiting = None  # the gradient that `after-next-step` holds back
        self.steps = 0
        self.reset(case["initial_state"])

    def reset(self, state):
        """y as given, p = 0, nothing forced; everything else stays."""
        self.y = list(state)
        self.p = zeros(self.n, self.n, self.c)
        self.forced = {}

    def step(self, x, targets):
        """Go from t to t + 1; return y(t+1), J(t+1) and -dJ(t+1)/dW."""
        units = range(self.n)
        z = self.lines(x)
        s = [math.fsum(w * z for w, z in zip(self.w[k], z)) for k in units]  # equation 1
        value = [self.f[k].value(s[k]) for k in units]
        slope = [self.f[k].slope(s[k], value[k]) for k in units]
        self.y = [self.leaky(k, value[k], z[self.fixed + k]) for k in units]
        refuse_kinks(self.case, s)
        self.p = [[self.p_row(k, i, slope[k], z) for i in units] for k in units]
        given = {k: d for k, d in enumerate(targets) if d is not None}
        e = [given[k] - self.y[k] if k in given else 0.0 for k in units]  # equation 3
        loss = 0.5 * math.fsum(e * e for e in e)  # equation 4
        self.forced = given if self.case["teacher_forcing"] else {}
        return self.y, loss, self.descent(e)

    def leaky(self, k, value, held):
        """y_k(t+1) from f(s) and what stood in z for the unit (equations 2 and 2')."""
        a = self.a[k]
        return value if a == 1 else math.fsum([a * value, (1 - a) * held])

    def lines(self, x):
        """z(t): inputs, bias, and the units, with d for y where a unit is forced."""
        bias = [1.0] if self.case["bias"] else []
        return list(x) + bias + [self.forced.get(k, self.y[k]) for k in range(self.n)]

    def p_row(self, k, i, slope, z):
        """p^k_ij(t+1) for every j (equations 5 and 5'); reads the old p."""
        a, kept = self.a[k], k not in self.forced
        weights = self.w[k][self.fixed :]
        free = [(weights[l], self.p[l][i]) for l in range(self.n) if l not in self.forced]
        row = zeros(self.c)
        for j in range(self.c):
            if self.learning[i][j]:
                immediate = z[j] if i == k else 0.0
                row[j] = slope * math.fsum([w * p[j] for w, p in free] + [immediate])
                if a != 1:
                    row[j] = a * row[j] + ((1 - a) * self.p[k][i][j] if kept else 0.0)
        return row

    def descent(self, e):
        """sum over k of e_k p^k_ij (equation 6 without the learning rate)."""
        chosen = [(e[k], self.p[k]) for k in range(self.n) if e[k] != 0]
        rows, columns = range(self.n), range(self.c)
        return [[math.fsum(e * p[i][j] for e, p in chosen) for j in columns] for i in rows]

    def learn(self, gradient):
        """Count one step and change the weights where the regime says so."""
        if self.waiting is not None:
            self.apply(self.waiting)
            self.waiting = None
        self.gradient = added(self.gradient, 1.0, gradient)
        self.steps += 1
        if self.case["regime"] == "epochwise" or self.steps % self.case.get("update_every", 1):
            return
        if self.case["update_timing"] == "immediate":
            self.update()
        else:
            self.waiting, self.gradient = self.gradient, zeros(self.n, self.c)

    def update(self):
        self.apply(self.gradient)
        self.gradient = zeros(self.n, self.c)

    def apply(self, gradient):
        self.w = added(self.w, self.case["learning_rate"], gradient)

    def finish(self):
        """Apply what is due when the case ends."""
        if self.case["regime"] == "epochwise":
            self.update()
        elif self.waiting is not None:
            self.apply(self.waiting)


def added(matrix, factor, other):
    return [[a + factor * b for a, b in zip(*rows)] for rows in zip(matrix, other)]


def refuse_kinks(case, s):
    for f, value in zip(activations(case), s):
        if f is ACTIVATIONS["relu"] and 0 < abs(value) < KINK:
            raise SystemExit(f"{case['name']}: a ReLU sees {value}, too near to its kink")


def run(case):
    """Return what the case expects, and the stretches of its steps."""
    learner = Learner(case)
    resets = {reset["before_step"]: reset["state"] for reset in case.get("resets", [])}
    stretches = [Stretch(0, learner.y, learner.w)]
    reports = []
    for t, (x, targets) in enumerate(zip(case["x"], case["targets"])):
        if t in resets:
            if case["regime"] == "epochwise":
                learner.update()
            learner.reset(resets[t])
            stretches.append(Stretch(t, learner.y, learner.w))
        reports.append(learner.step(x, targets))
        learner.learn(reports[-1][2])
    learner.finish()
    outputs, losses, gradients = map(list, zip(*reports))
    expect = {"outputs": outputs, "losses": losses, "gradients": gradients}
    return {**expect, "weights": learner.w, "sensitivities": learner.p}, stretches


# The check of the gradients


def check_gradients(case):
    """Stop unless the gradients of every step are derivatives of its loss.

    They are as long as the weights stand still: in an epochwise case as it is, in a real-time case
    with a learning rate of 0.
    """
    if any(f.extended is None for f in activations(case)):
        return
    if case["regime"] != "epochwise":
        case = {**case, "learning_rate": 0.0}
    expect, stretches = run(case)
    allowed = AGREEMENT * max(abs(g) for step in expect["gradients"] for row in step for g in row)
    for difference in differences(case, expect["gradients"], stretches):
        if not difference <= allowed:
            raise SystemExit(f"{case['name']}: a gradient differs by {difference}")


def differences(case, gradients, stretches):
    """Between the gradients and the derivatives of the loss of the same step."""
    ends = [stretch.first for stretch in stretches[1:]] + [len(case["x"])]
    for stretch, end in zip(stretches, ends):
        for i, row in enumerate(learning(case)):
            for j in (j for j, learns in enumerate(row) if learns):
                weights = [list(row) for row in stretch.weights]
                weights[i][j] += COMPLEX_STEP * 1j
                losses = complex_losses(case, weights, stretch, end)
                for t, loss in enumerate(losses, stretch.first):
                    yield abs(gradients[t][i][j] + loss.imag / COMPLEX_STEP)


def complex_losses(case, weights, stretch, end):
    """J at every step of a stretch, from the forward pass alone."""
    y, forced, losses = stretch.state, {}, []
    for t in range(stretch.first, end):
        bias = [1.0] if case["bias"] else []
        z = case["x"][t] + bias + [forced.get(k, y) for k, y in enumerate(y)]
        s = [sum(w * z for w, z in zip(row, z)) for row in weights]
        terms = zip(activations(case), leaks(case), s, z[fixed_columns(case) :])
        y = [a * f.extended(s) + (1 - a) * held for f, a, s, held in terms]
        given = {k: d for k, d in enumerate(case["targets"][t]) if d is not None}
        losses.append(0.5 * sum((d - y[k]) ** 2 for k, d in given.items()) + 0j)
        forced = given if case["teacher_forcing"] else {}
    return losses


# The cases


class Draw:
    """Seeded random numbers of three decimals, which every parser reads alike."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def number(self, low, high):
        return round(low + (high - low) * self.random(), 3) + 0.0  # no negative zero

    def numbers(self, count, low, high):
        return [self.number(low, high) for _ in range(count)]

    def flags(self, rows, columns, chance):
        return [[int(self.random() < chance) for _ in range(columns)] for _ in range(rows)]

    def targets(self, units, low, high, chance, zero):
        """One row: each unit has a target with the given chance, some of them exactly 0."""
        row = []
        for _ in range(units):
            value = 0.0 if self.random() < zero else self.number(low, high)
            row.append(value if self.random() < chance else None)
        return row


def draw(
    name, *, seed, units, inputs, steps, bias=True, activation="tanh", learning_rate=0.1, size=1.0,
    taught=(-0.8, 0.8), chance=0.6, silent=0.2, zero=0.15, connected=None, frozen=None, resets=(),
    **fields,
):  # fmt: skip
    """A case without its expected values.

    size: weights are drawn from -size to size. taught: range of the targets. chance: that a unit
    has a target, at a step that has any; silent: that a step has none; zero: that a target is 0.
    connected, frozen: chance that a weight is. resets: steps before which the state is drawn anew.
    fields: whatever else the file shall say.
    """
    rng = Draw(seed)
    columns = inputs + bias + units
    case = {"name": name, "units": units, "inputs": inputs, "bias": bias, "activation": activation}
    case |= {"regime": "real-time", "update_timing": "immediate", "teacher_forcing": False}
    case |= {"learning_rate": learning_rate, **fields}
    case["initial_state"] = rng.numbers(units, -0.5, 0.5)
    case["weights"] = [rng.numbers(columns, -size, size) for _ in range(units)]
    if connected is not None:
        case["connections"] = rng.flags(units, columns, connected)
    if frozen is not None:
        case["frozen"] = rng.flags(units, columns, frozen)
    if resets:
        states = [rng.numbers(units, -0.5, 0.5) for _ in resets]
        case["resets"] = [{"before_step": t, "state": state} for t, state in zip(resets, states)]
    case["x"] = [rng.numbers(inputs, -1.0, 1.0) for _ in range(steps)]
    chances = [0.0 if rng.random() < silent else chance for _ in range(steps)]
    case["targets"] = [rng.targets(units, *taught, chance, zero) for chance in chances]
    return case


LATE = {"update_timing": "after-next-step"}
FORCED = {"teacher_forcing": True}
EPOCHS = {"regime": "epochwise"}
POSITIVE = (0.1, 0.9)


# fmt: off
def cases():
    """Every case, without its expected values."""
    # The plain algorithm; few units, so that a mistake can be followed by hand.
    yield draw("pair-of-logistic-units", seed=1, units=2, inputs=3, steps=9,
               activation="logistic", taught=POSITIVE, learning_rate=0.7)

    # The smallest network there is: its one weight leads from the unit to itself.
    yield draw("lone-unit-feeding-itself", seed=2, units=1, inputs=0, steps=16, bias=False,
               size=1.5, learning_rate=0.3, chance=1.0)

    # Every activation. The last unit's input is exactly 0 for ever, where the slope of ReLU is 0.
    kinds = ["relu", "softplus", "identity", "tanh", "logistic", "relu"]
    case = draw("five-activations-relu-at-zero", seed=3, units=6, inputs=2, steps=14,
                activation=kinds, size=0.7, learning_rate=0.05, chance=0.7)
    case["weights"][-1] = [0.0] * len(case["weights"][-1])
    yield case

    # Three targets far apart, so p has to carry the influence of many steps; the first is 0.
    case = draw("rare-targets", seed=4, units=3, inputs=1, steps=64, bias=False,
                size=1.2, learning_rate=0.4, silent=1.0)
    for unit, t in enumerate([0, 31, 63]):
        case["targets"][t][unit] = 0.4 * unit
    yield case

    # Forced all or none: after a step with targets only the immediate influence is left in p.
    yield draw("all-units-forced", seed=5, units=4, inputs=1, steps=15, activation="logistic",
               taught=POSITIVE, learning_rate=0.6, chance=1.0, silent=0.4, **FORCED)

    # A reset while an update waits: it is still applied, after the first step behind the reset.
    yield draw("late-update-across-resets", seed=6, units=4, inputs=3, steps=18,
               learning_rate=0.2, silent=0.1, resets=(5, 11), **LATE)

    # Everything that takes weights or units out, at the same time.
    kinds = ["tanh", "logistic", "tanh", "softplus", "identity"]
    yield draw("masked-frozen-forced-late", seed=7, units=5, inputs=2, steps=16, activation=kinds,
               size=0.8, connected=0.65, frozen=0.3, **FORCED, **LATE)

    # The counter of steps runs on through resets, and the last three steps change nothing.
    yield draw("every-five-forced-with-resets", seed=8, units=4, inputs=2, steps=23, bias=False,
               learning_rate=0.15, update_every=5, resets=(7, 13), **FORCED)

    # The sum over three steps waits for one more; the last sum is applied at the end.
    yield draw("every-three-late", seed=9, units=3, inputs=2, steps=15, activation="softplus",
               size=0.8, update_every=3, **LATE)

    # Three epochs of unequal length; what is forced at the end of one is free in the next.
    yield draw("epochs-with-forcing", seed=10, units=4, inputs=2, steps=24, activation="logistic",
               taught=POSITIVE, learning_rate=0.25, resets=(6, 16), **EPOCHS, **FORCED)

    # Three epochs with part of the weights; the second has no target and changes nothing.
    kinds = ["tanh", "softplus", "logistic", "identity", "tanh"]
    case = draw("epochs-partly-connected", seed=11, units=5, inputs=2, steps=17, activation=kinds,
                size=0.6, learning_rate=0.05, connected=0.7, frozen=0.25, resets=(6, 10), **EPOCHS)
    case["targets"][6:10] = [[None] * 5] * 4
    yield case

    # One epoch without input: the network runs from its state alone.
    yield draw("one-epoch-without-input", seed=12, units=3, inputs=0, steps=12, size=1.3, **EPOCHS)

    # One unit more than a register has lanes; most weights are frozen to keep the file small.
    yield draw("seventeen-units", seed=33, units=17, inputs=0, steps=4, bias=False, size=0.5,
               learning_rate=0.2, silent=0.0, frozen=0.93)

    # More columns than lanes, and no multiple of them: 20 in a row, 60 altogether.
    yield draw("twenty-columns", seed=14, units=3, inputs=16, steps=8, size=0.6, silent=0.1,
               learning_rate=0.05)

    # 99 columns, all learning, and rows of W that end in the middle of a register.
    yield draw("nine-units-forced", seed=15, units=9, inputs=1, steps=6, size=0.5, chance=0.25,
               silent=0.0, **FORCED)

    # Leaks of many sizes, one of them 1; what a unit keeps of a forced value carries no p.
    kinds = ["tanh", "logistic", "softplus", "identity", "tanh"]
    yield draw("leaky-forced", seed=17, units=5, inputs=2, steps=18, activation=kinds, size=0.8,
               learning_rate=0.15, connected=0.75, frozen=0.2, resets=(11,),
               leak=[0.3, 1.0, 0.75, 0.1, 0.5], **FORCED)

    # One leak for all units, which remember for about ten steps; two epochs.
    yield draw("leaky-epochs", seed=18, units=4, inputs=1, steps=30, learning_rate=0.2, size=1.2,
               silent=0.6, leak=0.1, resets=(17,), **EPOCHS)

    # Three heads of two units, and everything that takes weights or units out within them. The weights
    # between heads, which count as 0, are drawn like all others.
    kinds = ["tanh", "logistic", "softplus", "tanh", "identity", "tanh"]
    yield draw("heads-of-two-forced-late", seed=19, units=6, inputs=2, steps=16, activation=kinds,
               size=0.8, connected=0.8, frozen=0.2, resets=(9,), heads_of=2,
               leak=[0.3, 1.0, 0.75, 0.1, 0.5, 1.0], **FORCED, **LATE)

    # Heads of one unit, which see themselves only; two epochs.
    yield draw("heads-of-one-epochs", seed=20, units=5, inputs=1, steps=20, size=1.2,
               learning_rate=0.2, silent=0.5, heads_of=1, resets=(12,), **EPOCHS)

    # No weight can learn: losses are reported, and that is all.
    yield draw("nothing-can-learn", seed=16, units=3, inputs=1, steps=6, frozen=1.0)
# fmt: on


# The files


def text(case):
    """The file of a case: one key to a line."""
    expect, _ = run(masked(case))
    return "{\n" + lines(case) + ',\n"expect": {\n' + lines(expect) + "\n}}\n"


def lines(fields):
    compact = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    return ",\n".join(f'"{key}": {compact(value)}' for key, value in fields.items())


def files():
    """Path and contents of every case, its gradients checked."""
    made = {}
    for case in cases():
        check_gradients(masked(case))
        made[HERE / f"{case['name']}.json"] = text(case)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing, compare with the files"
    )
    check = parser.parse_args().check
    made = files()
    if not check:
        for path, contents in made.items():
            path.write_text(contents, encoding="ascii")
        return
    found = {path: path.read_text(encoding="ascii") for path in HERE.glob("*.json")}
    wrong = sorted(
        path.name for path in made.keys() | found.keys() if made.get(path) != found.get(path)
    )
    if wrong:
        sys.exit(f"not what make.py writes: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
