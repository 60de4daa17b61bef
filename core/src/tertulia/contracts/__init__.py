"""The seams: what a plugin, a provider and a store promise."""
