"""Negative controls: `python -m unittest` in this folder. A peer that leaves a term out must be noticed."""

import unittest

import numpy as np

import cases
import gated
import peers
import simple


class WithoutImmediate(simple.NumpyPeer):
    """Unit 0 forgets its immediate influence, the last term of equation 5."""

    def update(self, slope, z):
        p = super().update(slope, z)
        p[0, : len(z)] -= slope[0] * z
        return p


class WithoutSlope(simple.NumpyPeer):
    """The Jacobian of unit 0 lacks its f'."""

    def update(self, slope, z):
        old = self.buffers[0][0].copy()
        p = super().update(slope, z)
        p[0] += (1 - slope[0]) * (self.recurrent[0] @ old)
        return p


class GruWithoutReset(gated.JaxGru):
    """Unit 0 forgets the immediate influence of its row r."""

    def immediate(self, g, z):
        return super().immediate((g[0].at[0].set(0), *g[1:]), z)


class GruWithoutDirect(gated.JaxGru):
    """The Jacobian of unit 0 lacks the direct derivative u of equation 17."""

    def jacobian(self, blocks, g, u):
        return super().jacobian(blocks, g, u.at[0].set(0))


class LstmWithoutForget(gated.JaxLstm):
    """Unit 0 forgets the immediate influence of its row f."""

    def immediate(self, g, z):
        return super().immediate((g[0], g[1].at[0].set(0), *g[2:]), z)


class LstmWithoutOutput(gated.JaxLstm):
    """The Jacobian lacks the weights of the rows o, diag(g_o) W_o of equation 21."""

    def jacobian(self, w, g):
        return super().jacobian(w, (*g[:3], 0 * g[3]))


class TorchWithout:
    """Unit 0 forgets the immediate influence of row r of a GRU, row i of an LSTM."""

    def inject(self, diagonals, blocks):
        if 0 in blocks:
            self.g[0, 0] = 0
        super().inject(diagonals, blocks)


class TorchGruWithout(TorchWithout, gated.TorchGru):
    pass


class TorchLstmWithout(TorchWithout, gated.TorchLstm):
    pass


class Agreement(unittest.TestCase):
    def check(self, peer, precision, cell="simple"):
        for n, m in ((1, 0), (5, 3), (16, 8), (32, 8)):
            case = cases.make_case(n, m, 100, cell)
            weights = peer(simple.Case(case, precision), 1).train()
            peers.check_agreement({"it": weights}, cases.reference(case), precision, f"n = {n}")

    def test_numpy_and_torch(self):
        for precision in ("f32", "f64"):
            self.check(simple.NumpyPeer, precision)
            self.check(simple.TorchPeer, precision)

    def test_jax(self):
        self.check(simple.JaxPeer, "f32")
        self.check(simple.JaxPeer, "f64")

    def test_gated_cells(self):
        for precision in ("f32", "f64"):
            self.check(gated.JaxGru, precision, "gru")
            self.check(gated.JaxLstm, precision, "lstm")
            self.check(gated.TorchGru, precision, "gru")
            self.check(gated.TorchLstm, precision, "lstm")

    def check_noticed(self, wrong, cell):
        for peer in wrong:
            for precision in ("f32", "f64"):
                case = cases.make_case(32, 8, 100, cell)
                weights = peer(simple.Case(case, precision), 1).train()
                with self.subTest(peer=peer, precision=precision), self.assertRaisesRegex(SystemExit, "it disagrees"):
                    peers.check_agreement({"it": weights}, cases.reference(case), precision, "n = 32")

    def test_a_wrong_term_is_noticed(self):
        self.check_noticed((WithoutImmediate, WithoutSlope), "simple")
        self.check_noticed((GruWithoutReset, GruWithoutDirect, TorchGruWithout), "gru")
        self.check_noticed((LstmWithoutForget, LstmWithoutOutput, TorchLstmWithout), "lstm")

    def test_packing_keeps_every_weight(self):
        for cell in ("gru", "lstm"):
            case = simple.Case(cases.make_case(5, 3, 1, cell), "f64")
            table = gated.unpack(case, gated.pack(case, case.weights))
            np.testing.assert_array_equal(table, case.weights)

    def test_what_is_not_finite_is_noticed(self):
        expected = cases.reference(cases.make_case(2, 1, 3))
        self.assertEqual(peers.difference(expected * float("nan"), expected), float("inf"))


if __name__ == "__main__":
    unittest.main()
