"""For the site: pages that lie elsewhere in the repository, and links to them."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README": "index",
    "ARCHITECTURE": "architecture",
    "CHANGELOG": "changelog",
    "CONTRIBUTING": "contributing",
    "SECURITY": "security",
    "benchmarks/README": "benchmarks",
}
_LINK_UP = re.compile(rf"\]\(\.\./((?:\.\./)*)({'|'.join(PAGES)})\.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add these pages."""
    for source, target in PAGES.items():
        text = (ROOT / f"{source}.md").read_text(encoding="utf-8")
        files.append(File.generated(config, f"{target}.md", content=_as_in_docs(text)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links out of the documentation's folder find these pages."""
    return _LINK_UP.sub(lambda match: f"]({match[1]}{PAGES[match[2]]}.md", markdown)


def _as_in_docs(text: str) -> str:
    """A page from elsewhere, with links as they are from the documentation's folder."""
    for source, target in PAGES.items():
        text = text.replace(f"]({source}.md", f"]({target}.md")
    return re.sub(r"\]\((?:\.\./)?docs/", "](", text)
