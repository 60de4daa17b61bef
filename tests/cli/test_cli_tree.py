"""Branches as a tree, whatever became of the ones they come from."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

import tertulia
from tertulia_cli.tree import Bough, draw_tree


def bough(
    name: str,
    origin: str | None = None,
    after: int | None = None,
    *,
    count: int = 1,
    newest: str | None = None,
    is_active: bool = False,
) -> Bough:
    """A branch that shares so many messages with the one it comes from, and has so many of its own."""
    shared = -1 if after is None else after - 1
    branch = tertulia.Branch(
        name=name,
        provider="xai",
        model="grok",
        segment=UUID(int=0),
        head_depth=shared + count,
        forked_from=origin,
        fork_depth=None if after is None else shared,
    )
    message = None if newest is None else tertulia.Message.of("assistant", newest)
    return Bough(branch, message, is_active)


def draw_names(*boughs: Bough) -> list[str]:
    """The column of the names, without stars."""
    head, *lines = draw_tree(boughs)
    return [line[2 : head.index("messages")].rstrip() for line in lines]


def test_a_branch_is_a_line():
    """
    Name, own messages, who answers and the newest words stand under one another; the active one has a star.
    """
    boughs = [
        bough("main", count=12, newest="1, 2,"),
        bough("mary", "main", 6, count=4, newest="Hello\n\x1b[2J Mary."),
        bough("main-2", "main", 11, newest="word " * 20, is_active=True),
        bough("empty", "main", 0, count=0),
    ]

    assert draw_tree(boughs) == [
        "  branch     messages         answered by  newest",
        "  main       12               xai/grok     1, 2,",
        "  ├─ mary    4 more after 6   xai/grok     Hello ␛[2J Mary.",
        f"* ├─ main-2  1 more after 11  xai/grok     {'word ' * 11}word…",
        "  └─ empty   0 more after 0   xai/grok",
    ]


def test_a_line_is_cut_where_the_terminal_ends():
    """
    A narrow terminal shows one line for each branch as well, with an ellipsis at its edge.
    """
    boughs = [bough("main", newest="世界" * 9)]

    assert ["  branch  messages  answered by  newe…", "  main    1         xai/grok     世界…"] == draw_tree(
        boughs, width=38
    )


def test_branches_stand_below_the_one_they_go_on_from():
    """
    Forks of forks are indented once more, and lines lead to each.
    """
    boughs = [
        bough("main", count=9),
        bough("a", "main", 3, count=5),
        bough("b", "main", 5, count=5),
        bough("c", "a", 5, count=5),
        bough("d", "a", 7, count=5),
        bough("e", "c", 8),
        bough("f", "b", 8),
    ]

    assert ["main", "├─ a", "│  ├─ c", "│  │  └─ e", "│  └─ d", "└─ b", "   └─ f"] == draw_names(*boughs)


def test_another_answer_stands_beside_the_first_one():
    """
    A branch stands below the one whose own message it goes on from, wherever it was asked for.
    """
    boughs = [
        bough("main", count=4),
        bough("main-2", "main", 3),
        bough("main-3", "main-2", 3),
        bough("main-4", "main-3", 3),
        bough("main-5", "main-4", 4),
    ]

    assert ["main", "├─ main-2", "├─ main-3", "└─ main-4", "   └─ main-5"] == draw_names(*boughs)


def test_what_comes_from_a_deleted_branch_stands_by_itself():
    """
    No branch is lost from sight, even when another one has the name of its origin by now.
    """
    boughs = [
        bough("main", count=4),
        bough("kept", "gone", 2, count=4),
        bough("below", "kept", 5),
        bough("gone", "below", 6),
    ]

    assert ["main", "kept", "└─ below", "   └─ gone"] == draw_names(*boughs)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefghxyz"), st.integers(0, 9)),
        unique_by=lambda each: each[0],
    )
)
def test_every_branch_is_drawn_once(forks: list[tuple[str, str, int]]):
    """
    Whatever the names say about origins, and however they lead in circles, no branch is missing or double.
    """
    boughs = [bough("main"), *(bough(name, origin, after) for name, origin, after in forks)]

    drawn = [name.split()[-1] for name in draw_names(*boughs)]

    assert sorted(drawn) == sorted(["main", *(name for name, _, _ in forks)])


def test_a_thousand_branches_one_from_the_other_are_drawn():
    """
    The depth of a tree has no limit.
    """
    boughs = [bough("b0"), *(bough(f"b{n}", f"b{n - 1}", n + 1) for n in range(1, 1_500))]

    assert len(draw_tree(boughs)) == 1_501
