"""Hooks of mkdocs: README.md becomes the first page, and links to files outside docs/ lead to the repository.

So one text has links that work on the site and on the repository pages. A link to a missing file fails the build.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def link_for_site(page: str, target: str, repository: str) -> str:
    """The link on the site for `target`, a path relative to `page`, which is a path relative to the repository."""
    file = (ROOT / page).parent.joinpath(target).resolve()
    if not file.exists():
        raise PluginError(f"{page}: no file for the link {target}")
    if file.is_relative_to(ROOT / "docs"):
        return target.removeprefix("docs/") if page == "README.md" else target
    return f"{repository}/blob/main/{file.relative_to(ROOT)}"


def rewritten(markdown: str, page: str, repository: str) -> str:
    """`markdown` of `page` with its relative links as the site needs them."""
    return LINK.sub(
        lambda found: f"]({link_for_site(page, found[1], repository)}{found[2] or ''})",
        markdown,
    )


def on_files(files: Any, config: Any) -> Any:
    """Add README.md as the first page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(
        File.generated(config, "index.md", content=rewritten(readme, "README.md", config["repo_url"]))
    )
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Rewrite the links that leave docs/."""
    if page.file.src_uri == "index.md":
        return markdown
    return rewritten(markdown, f"docs/{page.file.src_uri}", config["repo_url"])
