"""The cases in JAX: gradients by ``jax.jacfwd`` through all steps, and the real-time algorithm with
the Jacobians of a step by ``jax.jacfwd``, Adam and a limit on the norm of the gradient."""

import jax
import numpy as np

from cases import Case

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")
jnp = jax.numpy

RATE, LIMIT = 0.02, 0.5


def split(flat, shapes: list) -> list:
    """Matrices of these shapes, one after the other in a vector."""
    parts, first = [], 0
    for rows, columns in shapes:
        parts.append(flat[first : first + rows * columns].reshape(rows, columns))
        first += rows * columns
    return parts


def shapes_of(case: Case) -> list:
    matrices = [*case.weights, *([] if case.readout is None else [case.readout])]
    return [matrix.shape for matrix in matrices]


def packed(case: Case) -> np.ndarray:
    matrices = [*case.weights, *([] if case.readout is None else [case.readout])]
    return np.concatenate([matrix.ravel() for matrix in matrices])


def step_of(cell: str, w, x, y, c):
    """y and c of a layer after a step."""
    z = jnp.concatenate([x, jnp.ones(1), y])
    sums = jnp.split(w @ z, 4) if cell != "simple" else [w @ z]
    if cell == "simple":
        return jnp.tanh(sums[0]), c
    gates = [jax.nn.sigmoid(s) for s in sums]
    if cell == "gru":
        v = jnp.tanh(sums[2] + gates[0] * sums[3])
        return (1 - gates[1]) * v + gates[1] * y, c
    c = gates[1] * c + gates[0] * jnp.tanh(sums[2])
    return gates[3] * jnp.tanh(c), c


def advance(case: Case, flat, state, x):
    """The state after a step, and the outputs."""
    matrices = split(flat, shapes_of(case))
    count = sum(case.units)
    y, c, seen, place = [], [], x, 0
    for layer, n in enumerate(case.units):
        part = slice(place, place + n)
        new = step_of(case.cell, matrices[layer], seen, state[part], state[count:][part])
        y.append(new[0])
        c.append(new[1])
        seen, place = new[0], place + n
    state = jnp.concatenate([*y, *c])
    if case.readout is None:
        return state, state[:count]
    return state, matrices[-1] @ jnp.concatenate([seen, jnp.ones(1)])


def loss_of(case: Case, outputs, targets):
    present = ~jnp.isnan(targets)
    targets = jnp.nan_to_num(targets)
    if case.loss == "softmax":
        return -jnp.sum(jnp.where(present, targets * jax.nn.log_softmax(outputs), 0))
    return 0.5 * jnp.sum(jnp.where(present, (outputs - targets) ** 2, 0))


def masks_of(case: Case) -> np.ndarray:
    readout = [] if case.readout is None else [np.ones_like(case.readout, bool)]
    return np.concatenate([mask.ravel() for mask in [*case.masks, *readout]])


def by_name(case: Case, flat) -> dict:
    names = [f"layer{layer}" for layer in range(len(case.units))] + ["readout"]
    return dict(zip(names, map(np.asarray, split(flat, shapes_of(case))), strict=False))


def gradients(case: Case) -> dict:
    """The gradient of the loss of all steps and streams."""

    def total(flat):
        def of_stream(x, targets):
            def step(state, row):
                state, outputs = advance(case, flat, state, row[0])
                return state, loss_of(case, outputs, row[1])

            return jax.lax.scan(step, jnp.zeros(2 * sum(case.units)), (x, targets))[1].sum()

        return sum(of_stream(case.x[:, b], case.targets[:, b]) for b in range(case.streams))

    gradient = np.asarray(jax.jit(jax.jacfwd(total))(packed(case)))
    return by_name(case, np.where(masks_of(case), gradient, 0))


def real_time(case: Case) -> dict:
    """Weights and outputs of the real-time algorithm: P' = J P + B, then an update at each step."""

    def new_state(flat, state, x):
        return advance(case, flat, state, x)[0]

    j_of, b_of = jax.jacfwd(new_state, 1), jax.jacfwd(new_state, 0)

    def error_of(flat, state, x, targets):
        return loss_of(case, outputs_of(flat, state, x), targets)

    def outputs_of(flat, state, x):
        if case.readout is None:
            return state[: sum(case.units)]
        top = state[sum(case.units) - case.units[-1] : sum(case.units)]
        return split(flat, shapes_of(case))[-1] @ jnp.concatenate([top, jnp.ones(1)])

    by_state, by_weights = jax.grad(error_of, 1), jax.grad(error_of, 0)

    @jax.jit
    def step(flat, state, p, x, targets):
        p = j_of(flat, state, x) @ p + b_of(flat, state, x)
        state = new_state(flat, state, x)
        gradient = by_state(flat, state, x, targets) @ p + by_weights(flat, state, x, targets)
        return state, p, gradient, outputs_of(flat, state, x)

    flat, masks, all_outputs = packed(case), masks_of(case), []
    states = [np.zeros(2 * sum(case.units)) for _ in range(case.streams)]
    ps = [np.zeros((2 * sum(case.units), len(flat))) for _ in range(case.streams)]
    m, v, update = np.zeros_like(flat), np.zeros_like(flat), 0
    for t in range(len(case.x)):
        gradient, outputs = np.zeros_like(flat), []
        for b in range(case.streams):
            row = case.x[t, b], case.targets[t, b]
            states[b], ps[b], part, of_stream = step(flat, states[b], ps[b], *row)
            gradient += np.where(masks, part, 0)
            outputs.append(np.asarray(of_stream))
        all_outputs.append(outputs)
        if np.isnan(case.targets[t]).all():
            continue
        update += 1
        gradient *= min(1, LIMIT / (np.linalg.norm(gradient) + 1e-6))
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        root = np.sqrt(v) / np.sqrt(1 - 0.999**update) + 1e-8
        flat = flat - RATE / (1 - 0.9**update) * m / root
    return by_name(case, flat) | {"outputs": np.array(all_outputs)}
