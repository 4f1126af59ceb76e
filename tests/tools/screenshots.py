"""`python -m tests.tools.screenshots`: take the pictures of the documentation anew, into `docs/images`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.support.screenshots import PICTURES, studio
from tests.tools.stage import run


def main() -> int:
    """Zero when all pictures are written."""
    with tempfile.TemporaryDirectory(prefix="bitscale-screenshots-") as folder, studio(Path(folder)) as scene:
        for path in scene.take_all(PICTURES):
            print(f"{path.name}: {path.stat().st_size // 1000} kB, {scene.colours(path)} colours")
    return 0


if __name__ == "__main__":
    run(main)
