"""The step of simple tanh units in NumPy, PyTorch and JAX, and what the peers of all cells share."""

import numpy as np


class Case:
    """The arrays of a conformance case of one layer: weights n x c, of gated cells 4 n x c, x T x m, targets T x n."""

    def __init__(self, fields: dict, precision: str):
        self.dtype = np.dtype({"f32": np.float32, "f64": np.float64}[precision])
        (layer,) = fields.get("layers", [fields])
        self.cell, self.n, self.m = layer.get("cell", "simple"), layer["units"], fields["inputs"]
        self.weights, self.state = (np.array(layer[name], self.dtype) for name in ("weights", "initial_state"))
        self.x, self.targets = (np.array(fields[name], self.dtype) for name in ("x", "targets"))
        self.c, self.rate = self.m + 1 + self.n, fields["learning_rate"]

    def slopes_and_lines(self, steps: int):
        """f' and z of some steps, for the bare update."""
        draw = np.random.default_rng(1).uniform
        slopes, lines = draw(0.5, 1, (steps, self.n)), draw(-1, 1, (steps, self.c))
        return slopes.astype(self.dtype), lines.astype(self.dtype)


class Loop:
    """What the two libraries without a scan share: one call a step, through the case again and again."""

    def train(self) -> np.ndarray:
        for x, target in self.rows:
            self.step(x, target)
        return np.asarray(self.w)

    def time_step(self, calls: int):
        for i in range(calls):
            self.step(*self.rows[i % len(self.rows)])

    def time_update(self, calls: int):
        for _ in range(calls):
            self.update(self.slope_of_update, self.z_of_update)


class JaxScan:
    """`jit` of a `scan` over a whole sequence of steps, its carry donated, four steps to a turn of the loop.

    A peer defines `step(carry, (x, target))`; the weights are the first element of its carry.
    """

    def __init__(self, case: Case, carry: tuple, steps: int):
        import jax

        jax.config.update("jax_enable_x64", case.dtype == np.float64)
        self.jax, self.case, self.rate, self.steps = jax, case, case.dtype.type(case.rate), steps
        self.carry = jax.device_put(carry)
        rows = np.arange(steps) % len(case.x)
        self.sequence = jax.device_put((case.x[rows], case.targets[rows]))
        self.run = jax.jit(self.scan(self.step), donate_argnums=0)

    def scan(self, step):
        return lambda carry, xs: self.jax.lax.scan(step, carry, xs, unroll=4)[0]

    def train(self) -> np.ndarray:
        self.carry = self.run(self.carry, self.jax.device_put((self.case.x, self.case.targets)))
        return np.asarray(self.carry[0]).copy()  # the next run donates the original

    def time_step(self, calls: int):
        for _ in range(0, calls, self.steps):
            self.carry = self.run(self.carry, self.sequence)
        self.jax.block_until_ready(self.carry)


class NumpyPeer(Loop):
    """Everything preallocated; one product in OpenBLAS; the immediate influence through a view."""

    def __init__(self, case: Case, threads: int):
        n, c, dtype = case.n, case.c, case.dtype
        self.m, self.rate = case.m, dtype.type(case.rate)
        self.rows = list(zip(case.x, case.targets))
        self.w = case.weights.copy()
        self.recurrent, self.flat = self.w[:, case.m + 1 :], self.w.reshape(-1)
        self.z = np.concatenate([np.zeros(case.m), [1], case.state]).astype(dtype)
        self.y, self.slope, self.error = (np.empty(n, dtype) for _ in range(3))
        self.jacobian, self.immediate = np.empty((n, n), dtype), np.empty((n, c), dtype)
        self.gradient = np.empty(n * c, dtype)
        self.buffers = []
        for _ in range(2):
            p = np.zeros((n, n * c), dtype)
            self.buffers.append((p, np.einsum("kkj->kj", p.reshape(n, n, c))))
        (self.slope_of_update,), (self.z_of_update,) = case.slopes_and_lines(1)

    def update(self, slope, z):
        """Equation 5."""
        self.buffers.reverse()
        (p, diagonal), (old, _) = self.buffers
        column = slope[:, None]
        np.multiply(column, self.recurrent, out=self.jacobian)
        np.matmul(self.jacobian, old, out=p)
        np.multiply(column, z, out=self.immediate)
        diagonal += self.immediate
        return p

    def step(self, x, target):
        self.z[: self.m] = x
        np.matmul(self.w, self.z, out=self.y)
        np.tanh(self.y, out=self.y)
        np.multiply(self.y, self.y, out=self.slope)
        np.subtract(1, self.slope, out=self.slope)
        p = self.update(self.slope, self.z)
        np.subtract(target, self.y, out=self.error)
        np.matmul(self.error, p, out=self.gradient)
        np.multiply(self.gradient, self.rate, out=self.gradient)
        self.flat += self.gradient
        self.z[self.m + 1 :] = self.y


class TorchPeer(Loop):
    """As NumPy, with fused element-wise calls and no gradient tape (`inference_mode` beat `no_grad`)."""

    def __init__(self, case: Case, threads: int):
        import torch

        torch.set_num_threads(threads)
        torch.inference_mode().__enter__()  # until the process ends: no_grad, with less to look after
        self.torch, self.m, self.rate = torch, case.m, case.rate
        n, c, tensor = case.n, case.c, torch.from_numpy
        self.rows = list(zip(tensor(case.x), tensor(case.targets)))
        self.w = tensor(case.weights.copy())
        self.recurrent, self.flat = self.w[:, case.m + 1 :], self.w.view(-1)
        new = {"dtype": self.w.dtype}
        self.z = torch.cat([torch.zeros(case.m, **new), torch.ones(1, **new), tensor(case.state)])
        self.x, self.fed_back = self.z[: case.m], self.z[case.m + 1 :]
        self.y, self.slope, self.error = (torch.empty(n, **new) for _ in range(3))
        self.one, self.jacobian = torch.ones(n, **new), torch.empty((n, n), **new)
        self.gradient = torch.empty(n * c, **new)
        self.buffers = []
        for _ in range(2):
            p = torch.zeros((n, n * c), **new)
            self.buffers.append((p, p.t(), torch.diagonal(p.view(n, n, c))))  # the last one is c x n
        (self.slope_of_update,), (self.z_of_update,) = map(tensor, case.slopes_and_lines(1))

    def update(self, slope, z):
        """Equation 5; returns the transpose of p."""
        self.buffers.reverse()
        (p, transposed, diagonal), (old, _, _) = self.buffers
        self.torch.mul(slope.unsqueeze(1), self.recurrent, out=self.jacobian)
        self.torch.mm(self.jacobian, old, out=p)
        diagonal.addcmul_(z.unsqueeze(1), slope)
        return transposed

    def step(self, x, target):
        torch = self.torch
        self.x.copy_(x)
        torch.mv(self.w, self.z, out=self.y)
        self.y.tanh_()
        torch.addcmul(self.one, self.y, self.y, value=-1, out=self.slope)
        transposed = self.update(self.slope, self.z)
        torch.sub(target, self.y, out=self.error)
        torch.mv(transposed, self.error, out=self.gradient)
        self.flat.add_(self.gradient, alpha=self.rate)
        self.fed_back.copy_(self.y)


class JaxPeer(JaxScan):
    """The fastest of the variants tried at most sizes.

    Scattering the immediate influence beat a mask over p and p transposed, four steps to a turn of the
    loop beat 1, 2 and 8.
    """

    def __init__(self, case: Case, threads: int):
        zeros = np.zeros((case.n, case.n, case.c), case.dtype)
        super().__init__(case, (case.weights, case.state, zeros), int(np.clip(2e8 / case.n**4, 4, 2000)))
        self.p = self.jax.device_put(zeros)
        self.of_update = self.jax.device_put(case.slopes_and_lines(self.steps))
        self.run_update = self.jax.jit(
            lambda p, w, xs: self.scan(lambda p, at: (self.update(w, p, *at), None))(p, xs), donate_argnums=0
        )

    def update(self, w, p, slope, z):
        """Equation 5."""
        n, c = w.shape
        jacobian = slope[:, None] * w[:, c - n :]
        units = np.arange(n)
        return (jacobian @ p.reshape(n, n * c)).reshape(n, n, c).at[units, units].add(slope[:, None] * z)

    def step(self, carry, row):
        (w, y, p), (x, target), jnp = carry, row, self.jax.numpy
        z = jnp.concatenate([x, jnp.ones(1, x.dtype), y])
        y = jnp.tanh(w @ z)
        p = self.update(w, p, 1 - y * y, z)
        gradient = (target - y) @ p.reshape(len(y), -1)
        return (w + self.rate * gradient.reshape(w.shape), y, p), None

    def time_update(self, calls: int):
        for _ in range(0, calls, self.steps):
            self.p = self.run_update(self.p, self.carry[0], self.of_update)
        self.jax.block_until_ready(self.p)
