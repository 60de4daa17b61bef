"""Exact token counts for tertulia, from splintr-rs."""
