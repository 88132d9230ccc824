"""The pages that are made from the code say what the code says."""

import pytest

from asynctasq.drivers import registry
from integration.documentation.reference import FOLDER, PAGES
from integration.documentation.setting_pages import DRIVERS


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_code_says_now(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run `just reference`"


def test_every_driver_has_its_settings_there() -> None:
    assert sorted(DRIVERS) == registry.driver_names()


def test_every_driver_has_a_page() -> None:
    pages = {path.stem for path in (FOLDER.parent / "drivers").glob("*.md")}
    assert pages == {*DRIVERS, "README"}
