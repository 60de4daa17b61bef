"""What a client learns of how its providers count tokens."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, inf, isfinite, sqrt

import attrs

from tertulia.domain.exchange import Target
from tertulia.domain.tokens import CalibrationRecord

LEAST_FACTOR, MOST_FACTOR = 0.5, 2.0
MOST_OFFSET = 4096.0
MOST_TOKENS = 10**9  # a hundred times the largest window: whatever is more was not counted

UNCALIBRATED_MARGIN = 0.10
CALIBRATED_MARGIN = 0.02

# What is believed before anything was reported, as standard deviations: estimates are right within a fifth,
# and a provider adds up to some hundred tokens of its own.
_FACTOR_DOUBT = 0.2
_OFFSET_DOUBT = 100.0
_NOISE = 0.05  # of each report: other words, other errors of the estimate
_FACTOR_DRIFT = 0.05  # doubt grows with each report, so that the newest count most and a change is followed
_OFFSET_DRIFT = 5.0
_SURPRISE = 4.0  # a report further off, in standard deviations, is believed so far and no further
_CHANCE = 4.0  # tokens by which an estimate may be off without meaning anything: most of all for "hello"


@attrs.define
class Correction:
    """
    How the estimates for one target differ from what it reports: ``offset + factor * estimate``.

    A constant, such as a hidden prompt, shows in short requests and a factor in long ones: each report
    moves both by how much each is in doubt (a Kalman filter of two numbers).
    """

    offset: float = 0.0
    factor: float = 1.0
    count: int = 0
    _offset_doubt: float = _OFFSET_DOUBT**2
    _factor_doubt: float = _FACTOR_DOUBT**2
    _common_doubt: float = 0.0

    @property
    def doubt(self) -> float:
        """How much the factor is in doubt, as a share of what it was before anything was reported."""
        return sqrt(self._factor_doubt) / _FACTOR_DOUBT

    @property
    def doubts(self) -> tuple[float, float, float]:
        """How much the offset, the factor and both together are in doubt, as variances."""
        return self._offset_doubt, self._factor_doubt, self._common_doubt

    def learn(self, estimated: int, reported: int) -> None:
        """Take in that what was estimated was really so many tokens."""
        of_offset = self._offset_doubt + self._common_doubt * estimated
        of_factor = self._common_doubt + self._factor_doubt * estimated
        doubt = of_offset + of_factor * estimated + (_NOISE * estimated) ** 2 + _CHANCE**2
        most = _SURPRISE * doubt**0.5
        difference = _clamp(_leave_out(reported - self.offset - self.factor * estimated), -most, most)
        self.offset = _clamp(self.offset + of_offset / doubt * difference, -MOST_OFFSET, MOST_OFFSET)
        self.factor = _clamp(self.factor + of_factor / doubt * difference, LEAST_FACTOR, MOST_FACTOR)
        self._offset_doubt += _OFFSET_DRIFT**2 - of_offset * of_offset / doubt
        self._common_doubt -= of_offset * of_factor / doubt
        self._factor_doubt += _FACTOR_DRIFT**2 - of_factor * of_factor / doubt
        self._keep_doubt()
        self.count += 1

    def _keep_doubt(self) -> None:
        """Let no doubt outgrow that of the beginning, as it would where all reports are of one length."""
        of_offset = min(1.0, _OFFSET_DOUBT / self._offset_doubt**0.5)
        of_factor = min(1.0, _FACTOR_DOUBT / self._factor_doubt**0.5)
        self._offset_doubt *= of_offset**2
        self._factor_doubt *= of_factor**2
        self._common_doubt *= of_offset * of_factor


def _is_power_of_two(count: int) -> bool:
    return count & (count - 1) == 0


def _is_sound(record: CalibrationRecord) -> bool:
    """Whether it can have been learned: what is stored may be anybody's."""
    doubts = (record.offset_doubt, record.factor_doubt)
    return (
        LEAST_FACTOR <= record.factor <= MOST_FACTOR
        and abs(record.offset) <= MOST_OFFSET
        and all(0 < doubt < inf for doubt in doubts)
        and isfinite(record.common_doubt)
    )


def _is_count(tokens: object) -> bool:
    """Whether it can have been counted: a driver passes on whatever a server said."""
    return type(tokens) is int and 0 < tokens <= MOST_TOKENS


def _leave_out(difference: float) -> float:
    """A difference without what may be chance."""
    return difference - _clamp(difference, -_CHANCE, _CHANCE)


def _clamp(value: float, least: float, most: float) -> float:
    return max(least, min(most, value))


class Calibration:
    """
    Corrects estimates by what each target reported for earlier requests.

    Requests with attachments are learned apart from those without: pictures are estimated more roughly, and
    what is wrong with them says nothing of words.

    Example:
        >>> calibration, target = Calibration(), Target("xai", "grok-4.3")
        >>> calibration.learn(target, estimated=20, reported=210)
        >>> calibration.correct(target, 30) > 200
        True
    """

    def __init__(self) -> None:
        self._corrections: dict[tuple[Target, bool], Correction] = {}
        self._changed: set[tuple[Target, bool]] = set()

    def learn(self, target: Target, *, estimated: int, reported: int | None, has_media: bool = False) -> None:
        """Compare an uncorrected estimate of a whole request with the report; None is no report."""
        if reported is not None and _is_count(estimated) and _is_count(reported):
            key = target, has_media
            self._corrections.setdefault(key, Correction()).learn(estimated, reported)
            self._changed.add(key)

    def recall(self, records: Iterable[CalibrationRecord]) -> None:
        """Begin with what was learned before, except of targets that have reported since."""
        for each in records:
            key = Target(each.provider, each.model), each.has_media
            if key not in self._corrections and _is_sound(each):
                self._corrections[key] = Correction(
                    each.offset,
                    each.factor,
                    each.count,
                    each.offset_doubt,
                    each.factor_doubt,
                    each.common_doubt,
                )

    @property
    def is_due(self) -> bool:
        """Whether so much was learned that it is to be kept now, and not only when the client closes."""
        return any(_is_power_of_two(self._corrections[key].count) for key in self._changed)

    def take_changed(self) -> list[CalibrationRecord]:
        """Return what was learned since it was last taken."""
        changed, self._changed = self._changed, set()
        return [self._record(*key) for key in changed]

    def _record(self, target: Target, has_media: bool) -> CalibrationRecord:
        found = self._corrections[target, has_media]
        return CalibrationRecord(
            target.provider, target.model, has_media, found.offset, found.factor, found.count, *found.doubts
        )

    def knows(self, target: Target, *, has_media: bool = False) -> bool:
        """Whether the target has ever reported."""
        return (target, has_media) in self._corrections

    def margin(self, target: Target, *, has_media: bool = False) -> float:
        """
        The share of a window to leave free, because even a corrected estimate is one.

        It shrinks with the doubt of the factor: what was reported of "hello" says little of a long history.
        """
        found = self._corrections.get((target, has_media))
        doubt = 1.0 if found is None else found.doubt
        return max(CALIBRATED_MARGIN, UNCALIBRATED_MARGIN * doubt)

    def correct(self, target: Target, tokens: int, *, has_media: bool = False) -> int:
        """Turn an estimate of a whole request into the tokens that the target would report."""
        found = self._corrections.get((target, has_media))
        return tokens if found is None else max(0, round(found.offset + found.factor * tokens))

    def uncorrect(self, target: Target, tokens: int, *, has_media: bool = False) -> int:
        """Turn a limit of a target's own tokens into one for estimates."""
        found = self._corrections.get((target, has_media))
        return tokens if found is None else max(0, floor((tokens - found.offset) / found.factor))
