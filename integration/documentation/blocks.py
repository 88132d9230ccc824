"""The fenced blocks of all pages, and how each is tested.

A comment just before a block marks its special treatment, in words separated by commas:
``<!-- test: run, prints healthy -->``. Python blocks run unless they say otherwise.

===============  =================================================================================
``run``          a shell block that is run, beside the titled files that its page shows before it
``continues``    it goes on where the block of its language before it stopped
``fragment``     it cannot run alone: it is compiled, and its imports are resolved
``other``        it belongs to another library, or to a package of the reader's: it is compiled
``redis``        it needs that broker
``worker``       it goes on until SIGTERM
``prints WORDS`` the output must contain these words
===============  =================================================================================
"""

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("packages/*/README.md")),
    ROOT / "benchmarks" / "README.md",
]
#: Marks that are complete in themselves.
MARKS = {"run", "continues", "fragment", "other", "redis", "worker"}

_FENCE = re.compile(
    r"^(?:[ ]*<!-- test: (?P<marks>[^\n]+) -->\n)?"
    r"(?P<indent>[ ]*)```(?P<language>[^\s`]*)(?:[ ]+title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        place: the page's path and the line of the fence, as ``docs/start.md:12``.
        title: the name of the file it is saved as, if it says so.
        before: the blocks of its page that precede it.
    """

    place: str
    language: str
    title: str | None
    marks: frozenset[str]
    text: str
    before: tuple["Block", ...] = field(repr=False)

    @property
    def prints(self) -> list[str]:
        """The words that the block must print."""
        return [mark.removeprefix("prints ") for mark in self.marks if mark.startswith("prints ")]

    @property
    def story(self) -> list["Block"]:
        """The blocks that it continues, and itself."""
        if "continues" not in self.marks:
            return [self]
        last = [block for block in self.before if block.language == self.language][-1]
        return [*last.story, self]


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        found.append(
            Block(
                place=f"{page.relative_to(ROOT)}:{line}",
                language=match["language"],
                title=match["title"],
                marks=frozenset(re.split(r",\s+", match["marks"]))
                if match["marks"]
                else frozenset(),
                text=textwrap.dedent(match["text"]),
                before=tuple(found),
            )
        )
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
