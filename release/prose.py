"""`make lint-docs`: words that this project avoids, in pages, messages and docstrings.

Writes `file:line: word -> instead` for each, and exits 1 when there is one. Code in pages is not read.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "docs/dev/*.md")
GENERATED = {"docs/dev/licences.md"}

AVOID = {
    r"mend(?:s|ed|ing)?": "fix",
    r"(?:does|do|did) not hold|holds? good": "is invalid, is wrong",
    r"who(?:m|so)?ever": "who, everybody who",
    r"heard|deaf|mutes?|hush(?:es)?|weather": "the field's word",
    r"in vain|for ever|anew|likewise|thereof|as it were": "without effect, always, again, the same",
    r"nonsense": "invalid values",
    r"(?:stands?|stood) (?:in|beside|below|behind|before|between|here|there|where|alone|apart|at)": "is",
    r"(?<!there )(?:is|are|was|were) (?-i:none)": "is not one",
    r"(?:said|says?) so": "report it",
    r"(?:speaks?|spoke)": "uses, wrote",
    r"wants (?:an?|to|no)": "needs",
    r"turn(?:s|ed)? round": "reverse",
    r"carr(?:y|ies|ied) on": "continue",
    r"out of reach": "not reachable",
    r"befalls?|betrays?|crowds?|swallows?|hoping": "the plain verb",
    r"takes? leave|leave to (?:send|go|speak)|asks? leave": "permission",
    r"(?:token|api|process|server|daemon)s? dies?": "expires, stops",
    r"words of (?:its|their) own|(?:own|last|first) words?": "messages",
    r"by heart|at hand|of no use": "the plain fact",
}
PATTERN = re.compile("|".join(rf"(?P<a{n}>\b(?:{word})\b)" for n, word in enumerate(AVOID)), re.IGNORECASE)
TUTORIAL = re.compile(r"(?<!\[)\bthe tutorial\b(?!\])(?!.{0,60}https?://)", re.IGNORECASE)


def page_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line of prose in a page."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)


def source_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each string of several words in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.splitlines()):
                yield node.lineno + offset, line


def main() -> int:
    pages = sorted(p for glob in PAGES for p in ROOT.glob(glob) if str(p.relative_to(ROOT)) not in GENERATED)
    sources = sorted((ROOT / "src").rglob("*.py"))
    instead = {f"a{n}": better for n, better in enumerate(AVOID.values())}
    found = 0
    for path in [*pages, *sources]:
        for number, line in page_lines(path) if path.suffix == ".md" else source_lines(path):
            hits = [(m[0], instead[m.lastgroup or ""]) for m in PATTERN.finditer(line)]
            hits += [(m[0], "name it and link it") for m in TUTORIAL.finditer(line)]
            for word, better in hits:
                sys.stdout.write(f"{path.relative_to(ROOT)}:{number}: {word} -> {better}\n")
                found += 1
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
