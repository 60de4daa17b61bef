"""``tertulia conversations list`` and ``tags``: every filter, every order, page by page."""

from __future__ import annotations

import json
import re

import pytest
from small_library import Library


@pytest.fixture
def listed(tertulia_command, library: Library):
    """What is listed, by its names in the library."""
    names = {library.trip: "trip", library.dinner: "dinner", library.count: "count"}

    def listed(*options: str) -> list[str]:
        ended = tertulia_command("conversations", "list", "--json", *options)
        assert (0, "") == (ended.code, ended.err)
        return [names[json.loads(line)["id"]] for line in ended.out.splitlines()]

    return listed


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["count", "trip"]),
        (["--state", "archived"], ["dinner"]),
        (["--state", "archived", "--state", "active"], ["count", "dinner", "trip"]),
        (["--state", "any"], ["count", "dinner", "trip"]),
        (["--state", "deleted"], []),
        (["--tag", "travel"], ["trip"]),
        (["--tag", "travel", "--state", "any"], ["dinner", "trip"]),
        (["--tag", "travel", "--tag", "food", "--state", "any"], ["dinner"]),
        (["--provider", "gemini"], ["trip"]),
        (["--model", "gpt-6.1-sol"], ["count", "trip"]),
        (["--role", "system"], []),
        (["--role", "assistant"], ["count", "trip"]),
        (["--metadata", "customer.plan=pro"], ["trip"]),
        (["--metadata", "customer.seats=7"], ["trip"]),
        (["--metadata", 'customer.seats="7"'], []),
        (["--metadata", "customer.plan=pro", "--metadata", "customer.seats=8"], []),
        (["--text", "john"], ["trip"]),
        (["--created-from", "2026-11-22T12:00Z"], ["count"]),
        (["--created-until", "2026-11-22T12:00Z"], ["trip"]),
        (["--updated-from", "2026-11-20T12:00:01+00:00"], ["count"]),
        (["--updated-until", "2026-11-20T13:00+01:00"], []),
        (["--min-messages", "3"], ["trip"]),
        (["--max-messages", "2"], ["count"]),
        (["--max-messages", "0"], []),
        (["--min-cost", "0.0001255"], ["trip"]),
        (["--min-cost", "$0.0001256"], []),
        (["--max-cost", "0"], ["count"]),
        (["--unknown-cost"], ["count"]),
        (["--known-cost"], ["trip"]),
        (["--tag", "travel", "--unknown-cost"], []),
    ],
)
def test_a_list_can_be_filtered(listed, options: list[str], names: list[str]):
    """
    Each option leaves those it speaks of, and all of them have to agree.
    """
    assert names == listed(*options)


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("recent", ["count", "dinner", "trip"]),
        ("newest", ["count", "dinner", "trip"]),
        ("oldest", ["trip", "dinner", "count"]),
        ("title", ["dinner", "trip", "count"]),
        ("messages", ["trip", "count", "dinner"]),
        ("cost", ["trip", "dinner", "count"]),
    ],
)
def test_a_list_has_an_order_in_which_pages_follow(listed, library: Library, order: str, names: list[str]):
    """
    Page after page is the same as all at once.
    """
    ids = library._asdict()
    options = ("--state", "any", "--order", order)

    assert names == listed(*options)
    assert [names[1]] == listed(*options, "--limit", "1", "--after", ids[names[0]])
    assert names[2:] == listed(*options, "--after", ids[names[1]][:13])
    assert [] == listed(*options, "--after", ids[names[2]])


def test_a_table_says_where_and_with_which_tags(tertulia_command, library: Library):
    """
    Columns for state and tags are there where there is something to say.
    """
    ended = tertulia_command("conversations", "list", "--state", "any")

    head, count, dinner, trip = (re.split(" {2,}", line) for line in ended.out.splitlines())
    assert ["id", "last used", "messages", "cost", "answered by", "state", "tags", "title"] == head
    assert [library.count[:13], "2", "at least $0", "openai/gpt-6.1-sol", "active"] == [count[0], *count[2:]]
    assert ["archived", "food, travel", "Dinner"] == dinner[5:]
    assert ["active", "2026, travel", "Trip to ␛[2J Lisbon"] == trip[5:]


def test_a_table_without_tags_has_no_column_for_them(tertulia_command, library: Library):
    """
    Nothing is said of what nothing has.
    """
    head, count = tertulia_command("conversations", "list", "--unknown-cost").out.splitlines()

    assert "id             last used         messages  cost         answered by         title" == head
    assert count.endswith("2         at least $0  openai/gpt-6.1-sol")


def test_a_page_says_how_to_go_on(tertulia_command, library: Library):
    """
    Only where there is more.
    """
    first = tertulia_command("conversations", "list", "--limit", "1")
    second = tertulia_command("conversations", "list", "--limit", "1", "--after", library.count)
    third = tertulia_command("conversations", "list", "--limit", "1", "--after", library.trip)

    assert f"there are more: --after {library.count}\n" == first.err
    assert "" == second.err
    assert (0, "", "there are no more\n") == third


def test_a_filter_that_leaves_nothing_says_so(tertulia_command, library: Library):
    """
    It is another thing than an empty library.
    """
    assert (0, "", "there is no such conversation\n") == tertulia_command(
        "conversations", "list", "--tag", "nothing"
    )


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--metadata", "plan"], "--metadata 'plan' has no value: write PATH=VALUE."),
        (["--metadata", " =pro"], "--metadata ' =pro' has no value: write PATH=VALUE."),
        (["--min-cost", "much"], "--min-cost 'much' is no amount of dollars: write 0.25."),
        (["--max-cost", "NaN"], "--max-cost 'NaN' is no amount of dollars: write 0.25."),
        (["--created-from", "soon"], "--created-from 'soon' is no date: "),
        (["--updated-until", "2026-13-01"], "--updated-until '2026-13-01' is no date: "),
        (["--updated-from", "999999w"], "--updated-from '999999w' is no date: "),
        (["--state", "gone"], "Invalid value for '--state': 'gone' is not one of "),
        (["--order", "size"], "Invalid value for '--order': 'size' is not one of "),
        (["--role", "robot"], "Invalid value for '--role': 'robot' is not one of "),
        (["--limit", "0"], "Invalid value for '-n' / '--limit': 0 is not in the range "),
        (["--min-messages", "-1"], "Invalid value for '--min-messages': -1 is not in the range "),
        (["--after", "0199"], "'0199' is too short for an id: "),
    ],
)
def test_what_cannot_be_meant_is_refused(tertulia_command, library: Library, options: list[str], error: str):
    """
    A wrong value is one line that says which, and exit code 2.
    """
    ended = tertulia_command("conversations", "list", *options)

    assert (2, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}")
    assert 1 == ended.err.count("\n")


def test_tags_are_counted(tertulia_command, library: Library):
    """
    In alphabetical order, archived conversations included.
    """
    ended = tertulia_command("conversations", "tags")

    assert (0, "tag     conversations\n2026    1\nfood    1\ntravel  2\n", "") == ended
    assert {"2026": 1, "food": 1, "travel": 2} == json.loads(
        tertulia_command("conversations", "tags", "--json").out
    )


def test_where_nothing_has_a_tag_there_is_a_note(tertulia_command):
    """
    The JSON object is empty.
    """
    assert (0, "", "no conversation has a tag\n") == tertulia_command("conversations", "tags")
    assert "{}\n" == tertulia_command("conversations", "tags", "--json").out
