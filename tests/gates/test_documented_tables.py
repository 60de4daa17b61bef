"""The reference of the tables names those there are, with their columns."""

from __future__ import annotations

import re
from pathlib import Path

from tertulia.builtin.sql.schema import metadata

PAGE = (Path(__file__).parents[2] / "docs/reference/database.md").read_text("utf-8")


def test_every_table_has_its_columns_and_key_on_the_page():
    """Tables, columns in their order and primary keys are those of the schema."""
    documented = {}
    for section in PAGE.split("\n## ")[1:]:
        name = re.match(r"`(\w+)`", section)
        key = re.search(r"One row for each `([\w, ]+)`", section)
        assert name is not None
        assert key is not None
        documented[name[1]] = (key[1].split(", "), re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))

    assert documented == {
        table.name: ([column.name for column in table.primary_key], [column.name for column in table.columns])
        for table in metadata.tables.values()
    }
