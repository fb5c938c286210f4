"""The pages: links that work on the repository's pages too, names that agree, words that are avoided.

The site itself is built by `make docs-site`, which fails on a broken link.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub and mkdocs make of a page's headings."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r" ", "-", re.sub(r"[^\w\- ]", "", text).strip()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target, fragment in LINK.findall(text):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if fragment and file.suffix == ".md":
            assert fragment in anchors(file), f"{target}#{fragment}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_row_of_a_table_has_the_cells_of_its_head(page: Path) -> None:
    """A pipe in a cell is written with a backslash, in code as well."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for table in re.findall(r"(?:^ *\|.*\n)+", text, re.MULTILINE):
        head, *rows = [re.sub(r"\\\|", "", row).count("|") for row in table.splitlines()]
        assert [row for row in rows if row != head] == [], table[:200]


def test_every_page_is_in_the_sites_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert {"index.md", *pages} == set(re.findall(r": (\S+\.md)$", navigation, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_of_file_and_journal_agree(page: Path) -> None:
    """The file is queuetick.jsonl; viewers read the journal by its tag, with enough lines to begin with."""
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"/var/log/queuetick[\w-]*/([\w.-]+\.jsonl)", text)) <= {"queuetick.jsonl"}
    assert "journalctl -fu" not in text
    for command in re.findall(r"journalctl [^|`\n]*-f[^|`\n]*\| queuetick (?:watch|tail)", text):
        assert "-t queuetick" in command, command
        assert "-n 2000" in command, command


def test_no_page_and_no_message_has_a_word_to_avoid() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "release" / "prose.py"], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


def test_the_list_of_words_finds_one(tmp_path: Path) -> None:
    """A word in prose is found, the same word in a code span is not."""
    sys.path.insert(0, str(ROOT / "release"))
    try:
        from prose import PATTERN, page_lines
    finally:
        sys.path.pop(0)
    page = tmp_path / "page.md"
    page.write_text("Mend that line.\n`mend`\n```sh\nmend\n```\n")
    assert [number for number, line in page_lines(page) if PATTERN.search(line)] == [1]
