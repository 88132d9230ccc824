"""A file of all figures, to which each run adds its brokers, and the plot of it."""

import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.environments import HERE, environment


def merge(path: Path, reports: dict[str, Any]) -> dict[str, Any]:
    """Write `reports` to the file; those that it has under other names stay."""
    known = json.loads(path.read_text()) if path.exists() else {}
    merged = {**known, **reports}
    path.write_text(json.dumps(merged, indent=1))
    return merged


def draw(source: Path, target: Path) -> None:
    """Draw the file `source` as the PNG `target`, with a matplotlib that nothing else has."""
    python = environment("plot", ["matplotlib"])
    subprocess.run([python, HERE / "plot.py", source, target], check=True)
