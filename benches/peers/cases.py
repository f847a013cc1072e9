"""The cases that all programs run, and the weights that they must end with."""

import numpy as np


def make_case(n: int, m: int, steps: int, cell: str = "simple") -> dict:
    """A case in the format of docs/conformance.md: n units that follow random targets."""
    draw = np.random.default_rng(n)
    blocks = 1 if cell == "simple" else 4
    weights = draw.normal(size=(blocks, n, m + 1 + n)) / np.sqrt(n)
    if cell == "gru":
        weights *= columns_of_gru(n, m)
    table = weights.reshape(-1, m + 1 + n).tolist()
    return {
        "name": f"peers-{cell}-{n}",
        "inputs": m,
        "bias": True,
        "layers": [{"cell": cell, "units": n, "weights": table, "initial_state": [0.0] * n}],
        "regime": "real-time",
        "update_timing": "immediate",
        "teacher_forcing": False,
        "learning_rate": 0.1 / n,
        "x": draw.uniform(-1, 1, (steps, m)).tolist(),
        "targets": draw.uniform(-0.5, 0.5, (steps, n)).tolist(),
    }


def columns_of_gru(n: int, m: int) -> np.ndarray:
    """4 x 1 x c, 1 where the rows r, u, v, w see z: v sees no unit, w no input."""
    seen = np.ones((4, 1, m + 1 + n))
    seen[2, :, m + 1 :] = seen[3, :, :m] = 0
    return seen


def reference(case: dict) -> np.ndarray:
    """The weights after the last step, in float64, by equations 1 to 6 or 14 to 21 of docs/equations.md."""
    (layer,) = case["layers"]
    n, m = layer["units"], case["inputs"]
    table = np.array(layer["weights"])
    w, y, cell = table.reshape(-1, n, table.shape[1]), np.array(layer["initial_state"]), np.zeros(n)
    p = np.zeros((2 if layer["cell"] == "lstm" else 1, n, *w.shape))
    seen = columns_of_gru(n, m) if layer["cell"] == "gru" else 1
    for x, d in zip(case["x"], case["targets"]):
        z = np.concatenate([x, [1.0], y])
        y, cell, p = ADVANCE[layer["cell"]](w, z, y, cell, p)
        w = w + case["learning_rate"] * np.tensordot(d - y, p[0], 1) * seen
    return w.reshape(table.shape)


def advance_states(p, direct, z, g, w):
    """Equations 14 and 15 for y, and for c of an LSTM: `direct` has h of each pair, g is blocks x n for each."""
    n, new = w.shape[1], []
    for to, of_rows in zip(direct, g):
        jacobian = np.einsum("bk,bkl->kl", of_rows, w[:, :, -n:])
        advanced = np.tensordot(jacobian, p[0], 1)
        for h, old in zip(to, p):
            advanced += h[:, None, None, None] * old
        for k in range(n):
            advanced[k, :, k] += np.outer(of_rows[:, k], z)
        new.append(advanced)
    return np.array(new)


def advance_simple(w, z, y, cell, p):
    y = np.tanh(w[0] @ z)
    return y, cell, advance_states(p, [[0 * y]], z, [(1 - y**2)[None]], w)


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


def advance_gru(w, z, y, cell, p):
    """Equations 16 to 18."""
    s = w @ z
    r, u, q = sigmoid(s[0]), sigmoid(s[1]), s[3]
    v = np.tanh(s[2] + r * q)
    gamma = (1 - u) * (1 - v**2)
    g = np.array([gamma * q * r * (1 - r), (y - v) * u * (1 - u), gamma, gamma * r])
    return (1 - u) * v + u * y, cell, advance_states(p, [[u]], z, [g], w)


def advance_lstm(w, z, y, cell, p):
    """Equations 19 to 21."""
    s = w @ z
    i, f, g, o = sigmoid(s[0]), sigmoid(s[1]), np.tanh(s[2]), sigmoid(s[3])
    to_c = np.array([g * i * (1 - i), cell * f * (1 - f), i * (1 - g**2), 0 * o])
    cell = f * cell + i * g
    theta = np.tanh(cell)
    eta = o * (1 - theta**2)
    to_y = eta * to_c
    to_y[3] = theta * o * (1 - o)
    zero = np.zeros_like(f)
    return o * theta, cell, advance_states(p, [[zero, eta * f], [zero, f]], z, [to_y, to_c], w)


ADVANCE = {"simple": advance_simple, "gru": advance_gru, "lstm": advance_lstm}
