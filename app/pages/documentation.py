"""The documentation: Markdown files in `templates/docs/`, in the order of their names, as pages of the product.

A page more is a file more: `07-your-network.md` is served at /docs/your-network, its first heading is its title and its
first paragraph its summary.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from gatescope.app.pages.paths import DOCUMENTATION

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

ANCHORED = (2, 3)  # levels of headings that can be linked to


class Heading(NamedTuple):
    """A heading of a page: its level (1 is the title), its anchor and its text."""

    level: int
    anchor: str
    text: str


class DocumentationPage(NamedTuple):
    """One page: the last part of its address, its headings (the first is its title), its first paragraph as text, and
    the whole as HTML.
    """

    id: str
    headings: tuple[Heading, ...]
    summary: str
    html: Markup

    @property
    def title(self) -> str:
        """What the page is called."""
        return self.headings[0].text

    @property
    def sections(self) -> list[Heading]:
        """What its table of contents lists."""
        return [heading for heading in self.headings if heading.level == ANCHORED[0]]


@cache
def documentation() -> dict[str, DocumentationPage]:
    """Every page by id, in reading order; read and rendered once."""
    files = {path.stem.partition("-")[2]: path for path in sorted(DOCUMENTATION.glob("*.md"))}
    return {id: render_page(id, path.read_text(encoding="utf-8")) for id, path in files.items()}


def render_page(id: str, source: str) -> DocumentationPage:
    """A page from its Markdown (CommonMark with tables; HTML in it is shown, not obeyed)."""
    parser = markdown()
    tokens = parser.parse(source)
    headings = tuple(anchored_headings(tokens))
    paragraphs = (content for opening, content in pairwise(tokens) if opening.type == "paragraph_open")
    summary = plain_text(next(paragraphs))
    return DocumentationPage(id, headings, summary, Markup(parser.renderer.render(tokens, parser.options, {})))


def anchored_headings(tokens: "list[Token]") -> Iterator[Heading]:
    """The headings among a page's tokens; those of a section become links to themselves."""
    for opening, content in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        text = plain_text(content)
        heading = Heading(int(opening.tag[1:]), anchor(text), text)
        if heading.level in ANCHORED:
            opening.attrSet("id", heading.anchor)
            content.children = markdown().parseInline(f"[{content.content}](#{heading.anchor})")[0].children
        yield heading


def anchor(text: str) -> str:
    """What an address calls a heading: its words in small letters, with hyphens between."""
    return "-".join(re.findall(r"\w+", text.lower()))


def plain_text(content: "Token") -> str:
    """The text of a line or a paragraph without its marks."""
    return "".join(" " if part.type == "softbreak" else part.content for part in content.children or [])


@cache
def markdown() -> "MarkdownIt":
    """The parser. Its package is loaded with the first page: a start of the service does not wait for it."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    # a wide table is moved sideways by itself, not with the page
    parser.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def markdown_html(source: str) -> Markup:
    """A piece of Markdown, such as a docstring, as HTML."""
    return Markup(markdown().render(source))
