"""``python -m tertulia_cli`` is the ``tertulia`` command."""

from __future__ import annotations

import sys

from tertulia_cli import main

sys.exit(main())
