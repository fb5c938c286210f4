"""Make the README's pictures from real output: `make pictures`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.json import JSON

IMAGES = Path(__file__).parent / "img"


def main() -> None:
    """Run the demo for 24 cycles, draw `watch` over its lines, and one snapshot and one report as JSON."""
    IMAGES.mkdir(exist_ok=True)
    demo = [sys.executable, "-m", "queuetick", "demo", "--cycles", "24", "--interval", "1", "--queues", "14"]
    lines = subprocess.run(demo, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "lines.jsonl"
        # Without the last line the picture shows a daemon that runs.
        file.write_bytes(b"\n".join(line for line in lines.splitlines() if b'"daemon.stopped"' not in line) + b"\n")
        picture = [sys.executable, "-m", "queuetick.watch.picture", file, IMAGES / "watch.svg", "--width", "118"]
        subprocess.run([*picture, "--height", "22"], check=True)
    last = {}
    for line in map(json.loads, lines.splitlines()):
        if line["event"] != "queue.snapshot" or line["waiting"]:
            last[line["event"]] = line
    console = Console(record=True, width=118, file=io.StringIO())
    for event in ("queue.snapshot", "cycle.completed"):
        console.print(JSON(json.dumps(last[event], ensure_ascii=False), indent=None, ensure_ascii=False))
    (IMAGES / "lines.svg").write_text(console.export_svg(title="queuetick demo"))


if __name__ == "__main__":
    main()
