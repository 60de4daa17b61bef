"""Whole worlds from a seed: providers that fail, callers that leave, a store that is busy, in no time."""
