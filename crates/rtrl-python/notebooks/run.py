"""Run the code of notebooks, in order: ``python run.py [NOTEBOOK ...]``, all of them by default.

The last two need the extras ``river`` and ``torch``, and JAX.
"""

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(path: Path) -> dict:
    """The variables after the last cell of a notebook. Pictures are drawn, but not shown."""
    os.environ.setdefault("MPLBACKEND", "agg")
    names = {"__name__": "__main__"}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(path), "exec"), names)
    return names


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:] or sorted(HERE.glob("*.ipynb"))):
        run(path)
        print(f"{path.name}: done")
