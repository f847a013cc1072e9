"""The step of a GRU and an LSTM, in the forms of torch.nn, in JAX and PyTorch.

Rows that a cell does not see (equation 16) have no columns: those that unit i has of its four rows are
K in all, side by side, in the packed weights, n x K, and in p, n x n x K: p[k, i] = dy_k / d(weights of i).
"""

import numpy as np

from simple import Case, JaxScan, Loop

COLUMNS_SEEN = {  # of z by the rows r, u, v, w and i, f, g, o, for m inputs
    "gru": lambda m: (slice(None), slice(None), slice(m + 1), slice(m, None)),
    "lstm": lambda m: (slice(None),) * 4,
}


def pack(case: Case, table: np.ndarray) -> np.ndarray:
    """The n x K weights that exist of a table of 4 n rows."""
    blocks = zip(table.reshape(4, case.n, case.c), COLUMNS_SEEN[case.cell](case.m))
    return np.concatenate([block[:, seen] for block, seen in blocks], 1)


def unpack(case: Case, packed: np.ndarray) -> np.ndarray:
    """The table of 4 n rows, 0 where a weight is absent."""
    table, start = np.zeros((4, case.n, case.c), packed.dtype), 0
    for block, seen in zip(table, COLUMNS_SEEN[case.cell](case.m)):
        part = block[:, seen]
        part[:] = packed[:, start : start + part.shape[1]]
        start += part.shape[1]
    return table.reshape(4 * case.n, case.c)


class JaxGated(JaxScan):
    """What the two cells share. A scatter with sorted and unique indices beat one without and a mask over p."""

    work = 1  # products of a step, in those of a simple unit

    def __init__(self, case: Case, threads: int):
        self.m, self.n, self.c = case.m, case.n, case.c
        steps = int(np.clip(4e9 / (self.work * case.n**4), 16, 2000))
        super().__init__(case, self.start(pack(case, case.weights), case.state), steps)

    def train(self) -> np.ndarray:
        return unpack(self.case, super().train())

    def add(self, p, immediate):
        """Add the immediate influence, a row of K for each row of p, to the columns of the row's own unit."""
        at = p.at[np.arange(len(p)), np.arange(len(p)) % self.n]
        return at.add(immediate, indices_are_sorted=True, unique_indices=True, mode="promise_in_bounds")

    def product(self, jacobian, p):
        return (jacobian @ p.reshape(self.n, -1)).reshape(-1, *p.shape[1:])

    def gradient(self, error, p):
        return (error @ p.reshape(self.n, -1)).reshape(p.shape[1:])

    def outer(self, *factors):
        """The rows of the immediate influence: pairs of an n-vector and the z that a row sees."""
        return self.jax.numpy.concatenate([g[:, None] * z for g, z in factors], 1)


class JaxGru(JaxGated):
    """Equations 16 to 18: one product of n x n by n x (n K)."""

    work = 3

    def start(self, packed, state):
        return packed, state, np.zeros((self.n, *packed.shape), packed.dtype)

    def immediate(self, g, z):
        g_r, g_u, g_v, g_w = g
        return self.outer((g_r, z), (g_u, z), (g_v, z[: self.m + 1]), (g_w, z[self.m :]))

    def jacobian(self, blocks, g, u):
        (w_r, w_u, w_w), (g_r, g_u, _, g_w) = blocks, g
        scaled = ((g_r, w_r[:, self.m + 1 :]), (g_u, w_u[:, self.m + 1 :]), (g_w, w_w[:, 1:]))
        return sum(g[:, None] * w for g, w in scaled) + self.jax.numpy.diag(u)

    def step(self, carry, row):
        (w, y, p), (x, target), (m, c) = carry, row, (self.m, self.c)
        jnp, sigmoid = self.jax.numpy, self.jax.nn.sigmoid
        z = jnp.concatenate([x, jnp.ones(1, x.dtype), y])
        w_v, w_w = w[:, 2 * c : 2 * c + m + 1], w[:, 2 * c + m + 1 :]
        gates = sigmoid(w[:, : 2 * c].reshape(-1, 2, c) @ z)
        r, u, q = gates[:, 0], gates[:, 1], w_w @ z[m:]
        v = jnp.tanh(w_v @ z[: m + 1] + r * q)
        g_v = (1 - u) * (1 - v * v)
        g = (g_v * q * r * (1 - r), (y - v) * u * (1 - u), g_v, g_v * r)
        jacobian = self.jacobian((w[:, :c], w[:, c : 2 * c], w_w), g, u)
        p = self.add(self.product(jacobian, p), self.immediate(g, z))
        y = v + u * (y - v)
        return (w + self.rate * self.gradient(target - y, p), y, p), None


class JaxLstm(JaxGated):
    """Equations 19 to 21 for p of c and p of y.

    `p_y` is equation 22 for the new (c, o), so that one product of 2 n x n by n x (n K), M and W_o times
    p_y, is enough. Adding the immediate influence to that product beat adding it to p_c and p_y; two
    products of n x n, carrying (c, o), and the dense Jacobian of equation 23 were slower as well.
    """

    work = 8

    def start(self, packed, state):
        zeros = np.zeros((self.n, *packed.shape), packed.dtype)
        return packed, state, np.zeros_like(state), zeros, zeros.copy()

    def immediate(self, g, z):
        """Of c above that of o."""
        g_i, g_f, g_g, g_o = g
        none = self.jax.numpy.zeros_like(g_o)
        to_c, to_o = self.outer((g_i, z), (g_f, z), (g_g, z), (none, z)), self.outer(*[(none, z)] * 3, (g_o, z))
        return self.jax.numpy.concatenate([to_c, to_o])

    def jacobian(self, w, g):
        """M above diag(o (1 - o)) W_o."""
        m_rows = sum(g[b][:, None] * w[:, b, self.m + 1 :] for b in range(3))
        return self.jax.numpy.concatenate([m_rows, g[3][:, None] * w[:, 3, self.m + 1 :]])

    def step(self, carry, row):
        (w, y, cell, p_c, p_y), (x, target) = carry, row
        jnp, sigmoid = self.jax.numpy, self.jax.nn.sigmoid
        z = jnp.concatenate([x, jnp.ones(1, x.dtype), y])
        blocks = w.reshape(-1, 4, self.c)
        i, f, g, o = (blocks @ z).T
        i, f, g, o = sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)
        injections = (g * i * (1 - i), cell * f * (1 - f), i * (1 - g * g), o * (1 - o))
        cell = f * cell + i * g
        theta = jnp.tanh(cell)
        y, eta = o * theta, o * (1 - theta * theta)
        product = self.product(self.jacobian(blocks, injections), p_y)
        of_c, of_o = jnp.split(self.add(product, self.immediate(injections, z)), 2)
        p_c = f[:, None, None] * p_c + of_c
        p_y = eta[:, None, None] * p_c + theta[:, None, None] * of_o
        return (w + self.rate * self.gradient(target - y, p_y), y, cell, p_c, p_y), None


class TorchGated(Loop):
    """Everything preallocated, no gradient tape, `mm(out=)` into the other of two buffers."""

    def __init__(self, case: Case, threads: int):
        import torch

        torch.set_num_threads(threads)
        torch.inference_mode().__enter__()  # until the process ends: no_grad, with less to look after
        self.torch, self.case, self.m, self.n, self.rate = torch, case, case.m, case.n, case.rate
        n, m, tensor = case.n, case.m, torch.from_numpy
        self.rows = list(zip(tensor(case.x), tensor(case.targets)))
        self.w = tensor(pack(case, case.weights))
        self.new = {"dtype": self.w.dtype}
        self.flat, self.gradient = self.w.view(-1), torch.empty(self.w.numel(), **self.new)
        self.z = torch.cat([torch.zeros(m, **self.new), torch.ones(1, **self.new), tensor(case.state)])
        self.x, self.y = self.z[:m], self.z[m + 1 :]
        seen = [self.z[columns] for columns in COLUMNS_SEEN[case.cell](m)]
        widths = [len(z) for z in seen]
        self.blocks = list(zip(self.w.split(widths, 1), seen, range(4)))
        self.sums, self.g = (torch.empty((4, n), **self.new) for _ in range(2))
        self.widths, self.error, self.column = widths, torch.empty(n, **self.new), (n, 1)

    def influence(self, states: int = 1):
        """p of some states, n x (n K), and for each block of rows the columns of each unit in its own row."""
        p = self.torch.zeros((states * self.n, self.w.numel()), **self.new)
        return p, self.diagonals(p[: self.n])

    def diagonals(self, p):
        own = self.torch.diagonal(p.view(self.n, *self.w.shape))  # K x n
        return own.split(self.widths)

    def train(self) -> np.ndarray:
        super().train()
        return unpack(self.case, self.w.numpy())

    def multiply(self):
        """The sums of the four blocks of rows."""
        for w, z, b in self.blocks:
            self.torch.mv(w, z, out=self.sums[b])

    def inject(self, diagonals, blocks):
        for b in blocks:
            diagonals[b].addcmul_(self.blocks[b][1].unsqueeze(1), self.g[b])

    def learn(self, target, y, p):
        self.torch.sub(target, y, out=self.error)
        self.torch.mv(p.t(), self.error, out=self.gradient)
        self.flat.add_(self.gradient, alpha=self.rate)


class TorchGru(TorchGated):
    """Equations 16 to 18."""

    def __init__(self, case: Case, threads: int):
        super().__init__(case, threads)
        self.buffers = [self.influence(), self.influence()]
        w_r, w_u, _, w_w = self.w.split(self.widths, 1)
        self.recurrent = [(w_r[:, self.m + 1 :], 0), (w_u[:, self.m + 1 :], 1), (w_w[:, 1:], 3)]
        self.jacobian = self.torch.empty((self.n, self.n), **self.new)
        self.own = self.jacobian.diagonal()

    def step(self, x, target):
        self.x.copy_(x)
        self.multiply()
        gates, (g_r, g_u, g_v, g_w) = self.sums[:2].sigmoid_(), self.g
        (r, u), q, y = gates, self.sums[3], self.y
        v = self.sums[2].addcmul_(r, q).tanh_()
        change = y - v
        self.torch.mul(1 - u, 1 - v * v, out=g_v)
        self.torch.mul(g_v, r, out=g_w)
        slopes = gates * (1 - gates)
        self.torch.mul(slopes[0] * q, g_v, out=g_r)
        self.torch.mul(slopes[1], change, out=g_u)
        (w, b), *others = self.recurrent
        self.torch.mul(w, self.g[b].view(self.column), out=self.jacobian)
        for w, b in others:
            self.jacobian.addcmul_(w, self.g[b].view(self.column))
        self.own.add_(u)
        self.buffers.reverse()
        (p, diagonals), (old, _) = self.buffers
        self.torch.mm(self.jacobian, old, out=p)
        self.inject(diagonals, range(4))
        y = v.addcmul_(u, change)
        self.learn(target, y, p)
        self.y.copy_(y)


class TorchLstm(TorchGated):
    """Equations 19 to 22, in the form of JaxLstm."""

    def __init__(self, case: Case, threads: int):
        super().__init__(case, threads)
        n = self.n
        self.cell = self.torch.zeros(n, **self.new)
        (self.p_c, self.to_c), (self.p_y, self.to_y) = self.influence(), self.influence()
        both, _ = self.influence(states=2)
        self.both, self.of_c, self.of_o = both, both[:n], both[n:]
        self.to_o = self.diagonals(self.of_o)
        self.recurrent = [w[:, self.m + 1 :] for w in self.w.split(self.widths, 1)]
        self.jacobian = self.torch.empty((2 * n, n), **self.new)

    def step(self, x, target):
        torch, column = self.torch, self.column
        self.x.copy_(x)
        self.multiply()
        i_f, g, o = self.sums[:2].sigmoid_(), self.sums[2].tanh_(), self.sums[3].sigmoid_()
        i, f = i_f
        slopes = i_f * (1 - i_f)
        torch.mul(slopes[0], g, out=self.g[0])
        torch.mul(slopes[1], self.cell, out=self.g[1])
        torch.mul(i, 1 - g * g, out=self.g[2])
        torch.mul(o, 1 - o, out=self.g[3])
        self.cell.mul_(f).addcmul_(i, g)
        theta = self.cell.tanh()
        eta = o * (1 - theta * theta)
        above, below = self.jacobian[: self.n], self.jacobian[self.n :]
        torch.mul(self.recurrent[0], self.g[0].view(column), out=above)
        above.addcmul_(self.recurrent[1], self.g[1].view(column))
        above.addcmul_(self.recurrent[2], self.g[2].view(column))
        torch.mul(self.recurrent[3], self.g[3].view(column), out=below)
        torch.mm(self.jacobian, self.p_y, out=self.both)
        self.inject(self.to_o, [3])
        torch.addcmul(self.of_c, self.p_c, f.view(column), out=self.p_c)
        self.inject(self.to_c, range(3))
        torch.mul(self.of_o, theta.view(column), out=self.p_y)
        self.p_y.addcmul_(self.p_c, eta.view(column))
        y = o * theta
        self.learn(target, y, self.p_y)
        self.y.copy_(y)
