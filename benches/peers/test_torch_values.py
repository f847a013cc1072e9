"""Whether the stored values are PyTorch's, and negative controls: another order of gates must be noticed."""

import unittest

import torch

import torch_values


def swapped(one, other):
    """Swaps two blocks of rows of every tensor of every layer."""

    def change(weights):
        for name, tensor in weights.items():
            if not name.startswith("readout"):
                blocks = list(tensor.split(torch_values.UNITS))
                blocks[one], blocks[other] = blocks[other], blocks[one]
                weights[name] = torch.cat(blocks)
        return weights

    return change


class StoredValues(unittest.TestCase):
    def test_they_are_those_of_pytorch(self):
        for name in torch_values.MODULES:
            self.assertLessEqual(torch_values.difference(name), torch_values.ROUNDING, name)

    def test_swapped_gates_are_noticed(self):
        for kind, blocks in (("gru", 3), ("lstm", 4)):
            for layers in (1, 2, 3):
                for other in range(1, blocks):
                    off = torch_values.difference(f"{kind}-{layers}", swapped(other - 1, other))
                    self.assertGreater(off, 1e-3, f"{kind}-{layers}, blocks {other - 1} and {other}")


if __name__ == "__main__":
    unittest.main()
