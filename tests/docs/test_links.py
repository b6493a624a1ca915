"""Links of the documentation: what they point at is there."""

from pathlib import Path

from tests.docs.pages import anchors, links, pages


def test_every_link_resolves(checkout: Path) -> None:
    """Files and headings; addresses on the web are not asked."""
    broken = []
    count = 0
    for page in pages(checkout):
        for target in links(page):
            if target.startswith(("https://", "http://", "mailto:")):
                continue
            count += 1
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(checkout)}: {target}")
    assert count
    assert not broken, "\n".join(broken)


def test_every_page_is_linked_to(checkout: Path) -> None:
    """A page that no other page names will not be found."""
    reached = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages(checkout)
        for target in links(page)
        if not target.startswith(("https://", "http://", "#"))
    }
    lost = [
        str(page.relative_to(checkout))
        for page in pages(checkout)
        if page.name != "README.md" and page.resolve() not in reached
    ]
    assert not lost
