"""Writes the reference pages, from commands, settings and drivers: ``just reference``."""

from pathlib import Path

from integration.documentation.command_pages import commands_page
from integration.documentation.limit_pages import limits_page
from integration.documentation.setting_pages import settings_page

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGES = {"cli.md": commands_page, "settings.md": settings_page, "drivers.md": limits_page}


def main() -> None:
    """Write all pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
