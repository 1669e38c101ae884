"""Where the pages' own files lie."""

from pathlib import Path


def page_files(name: str) -> Path:
    """The directory `static` or `templates`: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


STATIC = page_files("static")
TEMPLATES = page_files("templates")
