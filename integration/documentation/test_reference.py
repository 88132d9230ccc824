"""The generated pages are up to date with the code."""

import pytest

from asynctasq.drivers import registry
from integration.documentation.reference import FOLDER, PAGES
from integration.documentation.setting_pages import DRIVERS


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run `just reference`"


def test_every_driver_has_its_settings_there() -> None:
    assert sorted(DRIVERS) == registry.driver_names()


def test_every_driver_has_a_page() -> None:
    pages = {path.stem for path in (FOLDER.parent / "drivers").glob("*.md")}
    assert pages == {*DRIVERS, "README"}
