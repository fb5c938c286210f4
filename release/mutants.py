"""Print what became of the mutants of `make mutation`, per file, and each that survived; fail under `LEAST` killed.

mutmut keeps one `.meta` file per source file with the exit code of the tests against each mutant.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LEAST = 0.7
"""Share of each file's mutants that the tests must notice."""

MUTANTS = Path("mutants") / "src"

KILLED = {1, 3, -24, 24, 36, 152, 255}
"""A test failed, or (all but the first two) the mutant ran out of the time that the tests take."""
SURVIVED = {0}
UNTESTED = {5, 33}


def results() -> dict[str, dict[str, int | None]]:
    """Source file to mutant to exit code, for each file that has mutants."""
    found = {}
    for meta in sorted(MUTANTS.rglob("*.meta")):
        codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        if codes:
            found[meta.relative_to(MUTANTS).as_posix().removesuffix(".meta")] = codes
    return found


def change(mutant: str) -> str:
    """The lines that the mutant takes out and puts in."""
    mutmut = Path(sys.executable).with_name("mutmut")
    shown = subprocess.run([mutmut, "show", mutant], capture_output=True, text=True, check=True).stdout
    lines = [line for line in shown.splitlines() if line[:1] in "-+" and line[:3] not in ("---", "+++")]
    return "\n".join(lines)


def main() -> int:
    """Print the table, then the survivors; 1 when a file has too few killed or the run did not end."""
    good, survivors = True, []
    sys.stdout.write(
        "| file | mutants | killed | survived | not reached | killed |\n|---|---|---|---|---|---|\n"
    )
    for file, codes in results().items():
        killed = sum(code in KILLED for code in codes.values())
        survived = [name for name, code in codes.items() if code in SURVIVED]
        untested = [name for name, code in codes.items() if code in UNTESTED]
        share = killed / len(codes)
        sys.stdout.write(
            f"| {file} | {len(codes)} | {killed} | {len(survived)} | {len(untested)} | {share:.1%} |\n"
        )
        good = good and share >= LEAST and killed + len(survived) + len(untested) == len(codes)
        survivors += survived + untested
    for name in survivors:
        sys.stdout.write(f"\n{name}\n{change(name)}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
