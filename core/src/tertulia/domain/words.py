"""How errors call things."""

from __future__ import annotations


def name_type(kind: type) -> str:
    """
    Name a type with its article.

    Example:
        >>> name_type(int), name_type(str)
        ('an int', 'a str')
    """
    article = "an" if kind.__name__[:1] in "AEIOaeio" else "a"
    return f"{article} {kind.__name__}"
