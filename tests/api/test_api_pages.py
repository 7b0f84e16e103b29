"""The pages under docs/api show every public name once, and their code is real."""

import re
from pathlib import Path

import tfrs_pretrain

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "api").glob("*.md"))


def test_every_public_name_has_one_entry():
    entry = re.compile(r"^::: tfrs_pretrain\.(\w+)$", re.MULTILINE)
    shown = [name for page in PAGES for name in entry.findall(page.read_text())]
    assert sorted(shown) == sorted(set(tfrs_pretrain.__all__) - {"__version__"})


def test_names_in_the_code_of_the_pages_are_public():
    used = {name for page in PAGES for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
            for name in re.findall(r"\btp\.(\w+)", block)}
    assert {"build_dataset", "export"} <= used <= set(tfrs_pretrain.__all__)
