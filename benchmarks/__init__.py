"""
How much work Tertulia adds to a call, side by side with aiohttp and json doing the same.

``python -m benchmarks`` prints the table; :mod:`benchmarks.suite` lists what is measured.
"""
