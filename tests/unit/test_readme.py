"""The README says what is true: its table of settings is generated, its links and commands exist."""

import re
from pathlib import Path

from opentalking.cli.commands.settings import markdown

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_table_of_settings_is_the_generated_one():
    """Regenerate with `opentalking settings --markdown`."""
    table = README.partition("<!-- settings: opentalking settings --markdown -->\n")[2].partition("<!-- /settings")[0]
    assert table.strip() == markdown()


def test_every_link_leads_somewhere():
    links = re.findall(r"]\(([^)#:]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_command_has_a_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert {"run", "test", "bench"} <= targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
