"""What the core brings along behind its own seams."""
