"""What the tests of the configuration share."""

from __future__ import annotations

import os
import traceback

import tertulia
from tertulia.runtime.configuration.environment import Environment
from tertulia.runtime.configuration.sources import Arguments, make_config, read_sources

KEY = "sk-very-secret"


def configure(**arguments):
    """The configuration as `tertulia.open` makes it in this process."""
    return make_config(read_sources(Arguments(**arguments), Environment(os.environ), is_own=True))


def origins():
    """Where each setting was set that is no default."""
    return {
        setting.key: setting.origin for setting in tertulia.read_settings() if setting.origin != "default"
    }


def printed(error):
    """A traceback as error reporters write it, with every local variable but those of the test."""
    frames = error.__traceback__.tb_next
    return "".join(traceback.TracebackException(type(error), error, frames, capture_locals=True).format())
