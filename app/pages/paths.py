"""Where the pages' own files lie."""

from pathlib import Path

# `static/` and `templates/` lie beside `app/`, in a checkout and in an installed copy
HOUSE = Path(__file__).parents[2]
STATIC, TEMPLATES = HOUSE / "static", HOUSE / "templates"
DOCUMENTATION = TEMPLATES / "docs"
