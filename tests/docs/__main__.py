"""Renew the made pages: `python -m tests.docs`, from the root of a checkout."""

from tests.docs.pages import DOCS, PAGES

for name, make in PAGES.items():
    (DOCS / name).write_text(make(), encoding="utf-8")
    print(DOCS / name)
