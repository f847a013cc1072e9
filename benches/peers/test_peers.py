"""Negative controls: `python -m unittest` in this folder. A peer that leaves a term out must be noticed."""

import unittest

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


class Agreement(unittest.TestCase):
    def check(self, peer, precision):
        for n, m in ((1, 0), (5, 3), (16, 8), (32, 8)):
            case = peers.make_case(n, m, 100)
            weights = peer(simple.Case(case, precision), 1).train()
            peers.check_agreement({"it": weights}, peers.reference(case), precision, f"n = {n}")

    def test_numpy_and_torch(self):
        for precision in ("f32", "f64"):
            self.check(simple.NumpyPeer, precision)
            self.check(simple.TorchPeer, precision)

    def test_jax(self):
        self.check(simple.JaxPeer, "f32")
        self.check(simple.JaxPeer, "f64")

    def test_a_wrong_term_is_noticed(self):
        for peer in (WithoutImmediate, WithoutSlope):
            for precision in ("f32", "f64"):
                case = peers.make_case(32, 8, 100)
                weights = peer(simple.Case(case, precision), 1).train()
                with self.assertRaisesRegex(SystemExit, "it disagrees"):
                    peers.check_agreement({"it": weights}, peers.reference(case), precision, "n = 32")

    def test_what_is_not_finite_is_noticed(self):
        expected = peers.reference(peers.make_case(2, 1, 3))
        self.assertEqual(peers.difference(expected * float("nan"), expected), float("inf"))


if __name__ == "__main__":
    unittest.main()
