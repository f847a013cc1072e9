#!/usr/bin/env python3
"""Write the conformance cases in the folder `cells`; with --check, say whether they are up to date.

The cases have gated cells and chains of layers. What they expect is computed from the forward pass
alone: no derivative of a cell is written down anywhere. Every number of a step is a complex number of
60 decimal digits, and an imaginary part of 1e-40 in a weight, carried along in the states, is the
influence of that weight (the complex step of Squire & Trapp, 1998). Only the forward pass, the sum of
the gradient and the rules of the regimes are in the code, in the symbols of docs/equations.md.

Each number of a file is rounded once, when it is written, so the files come out the same on every
machine. Before anything is written, the program computes the smaller cases of make.py as well, which
follows equation 5, and stops unless both agree.
"""

import argparse
import decimal
import functools
import sys
from decimal import Decimal
from pathlib import Path

import make

FOLDER = Path(__file__).resolve().parent / "cells"
decimal.getcontext().prec = 60
STEP = Decimal("1e-40")
AGREEMENT = 1e-12
# Cases of make.py with at most this many weights are computed here as well.
SMALL = 32


# Complex numbers whose imaginary parts are tiny


class Complex:
    """A complex number whose imaginary part is so small that its square vanishes in 60 digits."""

    __slots__ = ("re", "im")

    def __init__(self, re, im=Decimal(0)):
        self.re, self.im = re, im

    def __add__(self, other):
        return Complex(self.re + other.re, self.im + other.im)

    def __sub__(self, other):
        return Complex(self.re - other.re, self.im - other.im)

    def __mul__(self, other):
        re = self.re * other.re - self.im * other.im
        return Complex(re, self.re * other.im + self.im * other.re)

    def __truediv__(self, other):
        size = other.re * other.re + other.im * other.im
        return self * Complex(other.re / size, -other.im / size)


ZERO = Complex(Decimal(0))
ONE = Complex(Decimal(1))
TWO = Complex(Decimal(2))
real_exp = functools.lru_cache(maxsize=None)(Decimal.exp)
real_ln = functools.lru_cache(maxsize=None)(Decimal.ln)


def exp(a):
    """e^re (cos im + i sin im), where cos im is 1 and sin im is im."""
    size = real_exp(a.re)
    return Complex(size, size * a.im)


def ln(a):
    """ln |a| + i arg a, where |a| is re, here positive, and arg a is im / re."""
    return Complex(real_ln(a.re), a.im / a.re)


def logistic(a):
    return ONE / (ONE + exp(ZERO - a))


def tanh(a):
    return TWO * logistic(TWO * a) - ONE


def relu(a):
    if 0 < abs(a.re) < make.KINK:
        raise SystemExit(f"a ReLU sees {a.re}, too near to its kink")
    return a if a.re > 0 else ZERO


ACTIVATIONS = {
    "logistic": logistic,
    "tanh": tanh,
    "relu": relu,
    "identity": lambda a: a,
    "softplus": lambda a: ln(ONE + exp(a)),
}


# The cells: from the weighted sums of the rows to the next state. A state is the outputs y of the
# units, and of an LSTM also c


def each(layer, key, default):
    """A setting of every unit."""
    value = layer.get(key, default)
    return value if isinstance(value, list) else [value] * layer["units"]


def simple(layer, s, c, y):
    f = [ACTIVATIONS[name] for name in each(layer, "activation", "tanh")]
    a = [Complex(Decimal(leak)) for leak in each(layer, "leak", 1)]
    return c, [(ONE - a) * y + a * f(s) for f, a, s, y in zip(f, a, s, y)]


def gru(layer, s, c, y):
    n = layer["units"]
    r = [logistic(s) for s in s[:n]]
    u = [logistic(s) for s in s[n : 2 * n]]
    v = [tanh(v + r * w) for v, r, w in zip(s[2 * n : 3 * n], r, s[3 * n :])]
    return c, [(ONE - u) * v + u * y for u, v, y in zip(u, v, y)]


def lstm(layer, s, c, y):
    n = layer["units"]
    i = [logistic(s) for s in s[:n]]
    f = [logistic(s) for s in s[n : 2 * n]]
    g = [tanh(s) for s in s[2 * n : 3 * n]]
    o = [logistic(s) for s in s[3 * n :]]
    c = [f * c + i * g for f, c, i, g in zip(f, c, i, g)]
    return c, [o * tanh(c) for o, c in zip(o, c)]


CELLS = {"simple": (1, simple), "gru": (4, gru), "lstm": (4, lstm)}


def rows_of(layer):
    return CELLS[layer["cell"]][0] * layer["units"]


def masked(case):
    """The case with masks in place of heads, of which nothing else here knows."""
    return {**case, "layers": [masked_layer(layer) for layer in case["layers"]]}


def masked_layer(layer):
    if "heads_of" not in layer:
        return layer
    n, head = layer["units"], layer["heads_of"]
    first = len(layer["weights"][0]) - n
    mask = [
        [int(j < first or (j - first) // head == i % n // head) for j in range(len(row))]
        for i, row in enumerate(layer["weights"])
    ]
    if "connections" in layer:
        pairs = zip(mask, layer["connections"])
        mask = [[seen & there for seen, there in zip(*rows)] for rows in pairs]
    rest = {field: value for field, value in layer.items() if field != "heads_of"}
    return {**rest, "connections": mask}


# The network


def numbers(values):
    return [Decimal(value) for value in values]


def initial(layers, state, cell):
    """(c, y) of every layer; c is empty but for an LSTM."""
    found = []
    for layer, is_lstm in layers:
        y = numbers(layer[state])
        found.append((numbers(layer.get(cell, [0] * len(y))) if is_lstm else [], y))
    return found


class Network:
    """The layers of a case; the numbers are Decimals."""

    def __init__(self, case):
        self.layers = case["layers"]
        self.inputs = [case["inputs"]] + [layer["units"] for layer in self.layers[:-1]]
        self.bias = [ONE] if case["bias"] else []
        self.is_lstm = [layer["cell"] == "lstm" for layer in self.layers]
        self.places = [place for place in self.all_places() if self.learns(*place)]
        self.w = [
            [
                [Decimal(w) if self.exists(l, i, j) else Decimal(0) for j, w in enumerate(row)]
                for i, row in enumerate(layer["weights"])
            ]
            for l, layer in enumerate(self.layers)
        ]

    def all_places(self):
        for l, layer in enumerate(self.layers):
            for i, row in enumerate(layer["weights"]):
                for j in range(len(row)):
                    yield l, i, j

    def exists(self, l, i, j):
        layer, first_unit = self.layers[l], self.inputs[l] + len(self.bias)
        if layer["cell"] == "gru":
            block = i // layer["units"]
            if block == 2 and j >= first_unit or block == 3 and j < self.inputs[l]:
                return False
        return "connections" not in layer or layer["connections"][i][j] == 1

    def learns(self, l, i, j):
        layer = self.layers[l]
        return self.exists(l, i, j) and not ("frozen" in layer and layer["frozen"][i][j])

    def initial(self):
        return initial(zip(self.layers, self.is_lstm), "initial_state", "initial_cell")

    def reset(self, reset):
        return initial(zip(reset["layers"], self.is_lstm), "state", "cell")

    def step(self, states, x, forced, place=None):
        """The next states, complex; the weight at `place` has the imaginary part STEP."""
        below = [Complex(x) for x in numbers(x)]
        forced, after = dict(forced), []
        unit = 0
        for l, (c, y) in enumerate(states):
            y = [Complex(forced[k]) if k in forced else y for k, y in enumerate(y, unit)]
            unit += len(y)
            z = below + self.bias + y
            s = [self.sum(l, i, z, place) for i in range(len(self.w[l]))]
            layer = self.layers[l]
            after.append(CELLS[layer["cell"]][1](layer, s, c, y))
            below = after[-1][1]
        return after

    def sum(self, l, i, z, place):
        total = ZERO
        for j, (w, z) in enumerate(zip(self.w[l][i], z)):
            total += Complex(w, STEP if (l, i, j) == place else Decimal(0)) * z
        return total


def real(states):
    return [([c.re for c in c], [y.re for y in y]) for c, y in states]


def influence(states):
    """The imaginary parts in units of STEP."""
    return [([c.im / STEP for c in c], [y.im / STEP for y in y]) for c, y in states]


def joined(states, p):
    """The states, with p as their imaginary parts."""
    def join(values, p):
        return [Complex(v, p * STEP) for v, p in zip(values, p)]

    return [(join(c, pc), join(y, py)) for (c, y), (pc, py) in zip(states, p)]


def outputs(states):
    return [y for _, y in states for y in y]


class Learner:
    """A network that learns by the rules of docs/equations.md."""

    def __init__(self, case):
        self.case, self.network = case, Network(case)
        self.sum = self.zeros()
        self.waiting = None
        self.steps = 0
        self.reset(self.network.initial())

    def zeros(self):
        return {place: Decimal(0) for place in self.network.places}

    def reset(self, states):
        """The states as given, p = 0, nothing forced; everything else stays."""
        self.states, self.forced = states, {}
        zero = [([Decimal(0)] * len(c), [Decimal(0)] * len(y)) for c, y in states]
        self.p = {place: zero for place in self.network.places}

    def step(self, x, targets):
        """Go from t to t + 1; return the outputs, the loss and -dJ/dw of this step."""
        step = self.network.step
        self.p = {
            place: influence(step(joined(self.states, p), x, self.forced, place))
            for place, p in self.p.items()
        }
        no_p = [([Decimal(0)] * len(c), [Decimal(0)] * len(y)) for c, y in self.states]
        self.states = real(step(joined(self.states, no_p), x, self.forced))
        given = {k: Decimal(d) for k, d in enumerate(targets) if d is not None}
        y = outputs(self.states)
        e = [given[k] - y[k] if k in given else Decimal(0) for k in range(len(y))]
        loss = sum((e * e for e in e), Decimal(0)) / 2
        self.forced = given if self.case["teacher_forcing"] else {}
        descent = {
            place: sum((e * p for e, p in zip(e, outputs(p))), Decimal(0))
            for place, p in self.p.items()
        }
        return y, loss, descent

    def learn(self, descent):
        """Count one step and change the weights where the regime says so."""
        if self.waiting is not None:
            self.apply(self.waiting)
            self.waiting = None
        for place, d in descent.items():
            self.sum[place] += d
        self.steps += 1
        if self.case["regime"] == "epochwise" or self.steps % self.case.get("update_every", 1):
            return
        if self.case["update_timing"] == "immediate":
            self.update()
        else:
            self.waiting, self.sum = self.sum, self.zeros()

    def update(self):
        self.apply(self.sum)
        self.sum = self.zeros()

    def apply(self, descent):
        rate = Decimal(self.case["learning_rate"])
        for (l, i, j), d in descent.items():
            self.network.w[l][i][j] += rate * d

    def finish(self):
        """Apply what is due when the case ends."""
        if self.case["regime"] == "epochwise":
            self.update()
        elif self.waiting is not None:
            self.apply(self.waiting)

    def tables(self, values):
        """A table for each layer of a number for each weight that learns."""
        tables = [[[0.0] * len(row) for row in layer] for layer in self.network.w]
        for (l, i, j), value in values.items():
            tables[l][i][j] = float(value)
        return tables


def run(case):
    """What a case expects."""
    learner = Learner(case)
    resets = {reset["before_step"]: reset for reset in case.get("resets", [])}
    expect = {"outputs": [], "losses": [], "gradients": []}
    for t, (x, targets) in enumerate(zip(case["x"], case["targets"])):
        if t in resets:
            if case["regime"] == "epochwise":
                learner.update()
            learner.reset(learner.network.reset(resets[t]))
        y, loss, descent = learner.step(x, targets)
        expect["outputs"].append([float(y) for y in y])
        expect["losses"].append(float(loss))
        expect["gradients"].append(learner.tables(descent))
        learner.learn(descent)
    learner.finish()
    expect["weights"] = [[[float(w) for w in row] for row in layer] for layer in learner.network.w]
    p = {place: outputs(p) for place, p in learner.p.items()}
    expect["sensitivities"] = [
        learner.tables({place: p[k] for place, p in p.items()})
        for k in range(len(outputs(learner.states)))
    ]
    return expect


# The check against make.py


def layered(case):
    """A case of make.py with a list of layers."""
    fields = ["units", "activation", "leak", "weights", "connections", "frozen", "initial_state"]
    layer = {"cell": "simple", **{field: case[field] for field in fields if field in case}}
    rest = {field: value for field, value in case.items() if field not in fields}
    if "resets" in case:
        rest["resets"] = [
            {"before_step": reset["before_step"], "layers": [{"state": reset["state"]}]}
            for reset in case["resets"]
        ]
    return {**rest, "layers": [layer]}


def check_against_make():
    """Stop unless the small cases of make.py are computed alike."""
    for case in map(make.masked, make.cases()):
        if sum(map(len, case["weights"])) > SMALL:
            continue
        got, (expected, _) = run(layered(case)), make.run(case)
        got["weights"] = got["weights"][0]
        for key in ["gradients", "sensitivities"]:
            got[key] = [tables[0] for tables in got[key]]
        for key, values in expected.items():
            a, b = flat(got[key]), flat(values)
            differs = any(not abs(a - b) <= AGREEMENT * max(1, abs(b)) for a, b in zip(a, b))
            if len(a) != len(b) or differs:
                raise SystemExit(f"{case['name']}: {key} differ from those of make.py")


def flat(values):
    if not isinstance(values, list):
        return [values]
    return [number for part in values for number in flat(part)]


# The cases


def draw(name, *, seed, inputs, steps, layers, bias=True, learning_rate=0.1, chance=0.6,
         silent=0.2, resets=(), **fields):  # fmt: skip
    """A case without its expected values.

    layers: their fields; `size`, by default 1, is the range of the weights, and numbers for
    `connections` and `frozen` are the chances of a 1. chance: that a unit has a target, at a step
    that has any; silent: that a step has none. resets: steps before which the states are drawn anew.
    fields: whatever else the file shall say.
    """
    rng = make.Draw(seed)
    case = {"name": name, "inputs": inputs, "bias": bias}
    case |= {"regime": "real-time", "update_timing": "immediate", "teacher_forcing": False}
    case |= {"learning_rate": learning_rate, **fields, "layers": []}
    below = inputs
    for settings in layers:
        layer = {key: value for key, value in settings.items() if key != "size"}
        rows, columns = rows_of(layer), below + bias + layer["units"]
        for mask in ["connections", "frozen"]:
            if mask in layer:
                layer[mask] = rng.flags(rows, columns, layer[mask])
        size = settings.get("size", 1.0)
        layer["weights"] = [rng.numbers(columns, -size, size) for _ in range(rows)]
        layer |= state(rng, layer, "initial_state", "initial_cell")
        case["layers"].append(layer)
        below = layer["units"]
    if resets:
        case["resets"] = [
            {"before_step": t,
             "layers": [state(rng, layer, "state", "cell") for layer in case["layers"]]}
            for t in resets
        ]  # fmt: skip
    units = sum(layer["units"] for layer in layers)
    case["x"] = [rng.numbers(inputs, -1.0, 1.0) for _ in range(steps)]
    chances = [0.0 if rng.random() < silent else chance for _ in range(steps)]
    case["targets"] = [rng.targets(units, -0.8, 0.8, chance, 0.15) for chance in chances]
    return case


def state(rng, layer, state, cell):
    drawn = {state: rng.numbers(layer["units"], -0.5, 0.5)}
    if layer["cell"] == "lstm":
        drawn[cell] = rng.numbers(layer["units"], -0.8, 0.8)
    return drawn


def layer(cell, units, **fields):
    return {"cell": cell, "units": units, **fields}


def only_targets_of(case, units):
    """Take the targets of all other units out."""
    for row in case["targets"]:
        row[:] = [d if k in units else None for k, d in enumerate(row)]
    return case


# fmt: off
def cases():
    """Every case, without its expected values."""
    # One GRU unit and one LSTM unit: small enough to follow by hand.
    yield draw("one-gru-unit", seed=101, inputs=1, steps=8, layers=[layer("gru", 1)],
               learning_rate=0.5, chance=1.0)
    yield draw("one-lstm-unit", seed=102, inputs=1, steps=8, layers=[layer("lstm", 1)],
               learning_rate=0.5, chance=1.0)

    # Everything that takes weights or units out of a GRU, at the same time, with a reset.
    yield draw("gru-masked-frozen-forced-late", seed=103, inputs=2, steps=16, resets=(9,),
               layers=[layer("gru", 3, size=1.5, connections=0.75, frozen=0.3)],
               **make.FORCED, **make.LATE)

    # The same for an LSTM, whose c is free where its y is forced.
    yield draw("lstm-masked-frozen-forced", seed=104, inputs=2, steps=16, resets=(7,),
               layers=[layer("lstm", 3, size=1.5, connections=0.75, frozen=0.3)], **make.FORCED)

    # Neither input nor bias: the cells run from their state alone.
    yield draw("gru-without-input", seed=105, inputs=0, steps=14, bias=False,
               layers=[layer("gru", 3, size=2.0)], learning_rate=0.3)
    yield draw("lstm-without-input-every-three", seed=106, inputs=0, steps=14, bias=False,
               layers=[layer("lstm", 3, size=2.0)], update_every=3, learning_rate=0.3)

    # Epochs, and rare targets, so that p carries the influence of many steps.
    yield draw("gru-epochs-rare-targets", seed=107, inputs=1, steps=30, resets=(18,), silent=0.8,
               layers=[layer("gru", 2, size=1.5)], **make.EPOCHS)
    yield draw("lstm-epochs-rare-targets", seed=108, inputs=1, steps=30, resets=(18,), silent=0.8,
               layers=[layer("lstm", 2, size=1.5)], **make.EPOCHS)

    # More units than a register of doubles has lanes; most weights are frozen to keep the files small.
    yield draw("nine-gru-units", seed=109, inputs=2, steps=5, silent=0.0,
               layers=[layer("gru", 9, size=0.7, frozen=0.85)], learning_rate=0.2)
    yield draw("nine-lstm-units", seed=110, inputs=2, steps=5, silent=0.0,
               layers=[layer("lstm", 9, size=0.7, frozen=0.85)], learning_rate=0.2)

    # Targets of the top layer only: the layers below learn through it.
    case = draw("two-gru-layers-top-targets", seed=111, inputs=2, steps=12, chance=1.0,
                layers=[layer("gru", 2, size=1.5), layer("gru", 2, size=1.5)], learning_rate=0.3)
    yield only_targets_of(case, {2, 3})

    # Targets of the bottom layer only: nothing above it learns.
    case = draw("lstm-below-gru-bottom-targets", seed=112, inputs=1, steps=10,
                layers=[layer("lstm", 2), layer("gru", 2)], learning_rate=0.3)
    yield only_targets_of(case, {0, 1})

    # All kinds of cells, of unequal sizes, with masks, frozen weights, a reset and late updates.
    yield draw("lstm-simple-gru-masked-late", seed=113, inputs=2, steps=12, resets=(5,),
               layers=[layer("lstm", 2, connections=0.8, frozen=0.2),
                       layer("simple", 4, activation=["tanh", "relu", "softplus", "logistic"],
                             leak=[0.4, 1.0, 0.7, 0.2], connections=0.8),
                       layer("gru", 1, frozen=0.3)],
               update_every=2, **make.LATE)

    # A frozen layer between two that learn passes errors and influence on.
    yield draw("frozen-gru-between-simple-layers", seed=114, inputs=1, steps=12, bias=False,
               layers=[layer("simple", 2, activation="identity", leak=0.5),
                       layer("gru", 2, frozen=1.0, size=1.5),
                       layer("simple", 2, activation="logistic")],
               learning_rate=0.2)

    # Two layers of LSTM cells over two epochs.
    yield draw("two-lstm-layers-epochs-of-unequal-length", seed=115, inputs=1, steps=14,
               resets=(9,), layers=[layer("lstm", 2), layer("lstm", 2, size=1.5)], **make.EPOCHS)

    # One layer of simple units in the form with a list.
    yield draw("one-simple-layer-in-a-list", seed=116, inputs=2, steps=10, resets=(6,),
               layers=[layer("simple", 3, activation="logistic", leak=0.6)], **make.FORCED)

    # Heads of GRU units with masked and frozen weights; teacher forcing.
    yield draw("gru-heads-of-two-forced", seed=117, inputs=2, steps=12, resets=(7,),
               layers=[layer("gru", 4, heads_of=2, size=1.5, connections=0.8, frozen=0.3)],
               **make.FORCED)

    # Heads of LSTM units below heads of one GRU unit each, which see all of them.
    yield draw("lstm-heads-below-gru-heads", seed=118, inputs=1, steps=10, update_every=2,
               layers=[layer("lstm", 4, heads_of=2, frozen=0.5),
                       layer("gru", 3, heads_of=1, size=1.5, frozen=0.3)])
# fmt: on


# The files


def text(case):
    """The file of a case: one key to a line."""
    expect = make.lines(run(masked(case)))
    return "{\n" + make.lines(case) + ',\n"expect": {\n' + expect + "\n}}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing, compare with the files"
    )
    check = parser.parse_args().check
    check_against_make()
    made = {FOLDER / f"{case['name']}.json": text(case) for case in cases()}
    if not check:
        FOLDER.mkdir(exist_ok=True)
        for path, contents in made.items():
            path.write_text(contents, encoding="ascii")
        return
    found = {path: path.read_text(encoding="ascii") for path in FOLDER.glob("*.json")}
    wrong = sorted(
        path.name for path in made.keys() | found.keys() if made.get(path) != found.get(path)
    )
    if wrong:
        sys.exit(f"not what make_cells.py writes: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
