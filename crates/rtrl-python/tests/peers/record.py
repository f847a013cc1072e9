"""Write ``recorded.npz``, what PyTorch and JAX compute with the cases: ``python record.py``.

The environment is that of ``benches/peers/requirements.txt``.
"""

from pathlib import Path

import numpy as np

import cases
import jax_peer
import torch_peer


def main() -> None:
    recorded = {}
    for case in cases.every():
        peers = {
            "torch": torch_peer.gradients(case),
            "jacfwd": jax_peer.gradients(case),
            "real-time": jax_peer.real_time(case),
        }
        for peer, arrays in peers.items():
            recorded |= {f"{case.name}/{peer}/{name}": array for name, array in arrays.items()}
        worst = max(
            float(abs(peers["jacfwd"][name] - peers["torch"][name]).max())
            for name in peers["jacfwd"]
        )
        print(f"{case.name}: PyTorch and JAX differ by {worst:.1e}")
    np.savez_compressed(Path(__file__).with_name("recorded.npz"), **recorded)


if __name__ == "__main__":
    main()
