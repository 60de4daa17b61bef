"""Conversations on their way out of a store and into one."""
