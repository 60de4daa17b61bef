"""The machinery: plugins, HTTP, conversion, configuration, time."""
