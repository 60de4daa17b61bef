"""What is learned from reports."""

from __future__ import annotations

import pytest

from tertulia import Target
from tertulia.services.context.calibration import Calibration

TARGET = Target("xai", "grok-4.3")


def learn(calibration: Calibration, *pairs: tuple[int, int]) -> None:
    for estimated, reported in pairs:
        calibration.learn(TARGET, estimated=estimated, reported=reported)


def test_nothing_learned_is_nothing_corrected():
    """
    Estimates and limits stay as they are, and a tenth of the window is left free.
    """
    calibration = Calibration()

    assert (1000, 1000, 0.1) == (
        calibration.correct(TARGET, 1000),
        calibration.uncorrect(TARGET, 1000),
        calibration.margin(TARGET),
    )
    assert not calibration.knows(TARGET)


def test_a_hidden_prompt_is_learned_as_a_constant():
    """
    Short requests that are each 190 tokens more make long ones 190 more, and not twenty times as long.
    """
    calibration = Calibration()
    learn(calibration, (10, 200), (12, 202), (30, 220))

    assert 10_190 == pytest.approx(calibration.correct(TARGET, 10_000), rel=0.02)
    assert 230 == pytest.approx(calibration.correct(TARGET, 40), rel=0.05)


def test_a_language_that_counts_more_is_learned_as_a_factor():
    """
    Long requests that are each a quarter more make still longer ones a quarter more.
    """
    calibration = Calibration()
    learn(calibration, (4_000, 5_000), (8_000, 10_000))

    assert 20_000 == pytest.approx(calibration.correct(TARGET, 16_000), rel=0.01)


def test_a_few_tokens_are_chance():
    """
    One word of a short prompt says nothing of the next prompt.
    """
    calibration = Calibration()
    learn(calibration, (13, 10))

    assert 13 == calibration.correct(TARGET, 13)


def test_what_a_change_brings_is_followed():
    """
    A conversation that goes over to another language is estimated well within a few answers.
    """
    calibration = Calibration()
    learn(calibration, *((each, each) for each in range(1_000, 10_000, 1_000)))
    learn(calibration, *((each, round(each * 1.3)) for each in range(10_000, 15_000, 1_000)))

    assert 19_500 == pytest.approx(calibration.correct(TARGET, 15_000), rel=0.02)


def test_one_wild_report_is_believed_so_far_and_no_further():
    """
    A factor stays between a half and two, and one report in a thousand does not spoil the others.
    """
    calibration = Calibration()
    learn(calibration, *((each, each) for each in range(1_000, 10_000, 1_000)))
    learn(calibration, (10_000, 1_000_000))

    assert calibration.correct(TARGET, 10_000) < 25_000

    learn(calibration, *[(10_000, 100_000_000)] * 20)

    assert calibration.correct(TARGET, 10_000) <= 24_096
    learn(calibration, *[(10_000, 1)] * 100)
    assert calibration.correct(TARGET, 100_000) >= 50_000 - 4_096


def test_many_answers_of_one_length_leave_other_lengths_alone():
    """
    What ten thousand equal requests could not show is no more in doubt than at the beginning.
    """
    calibration = Calibration()
    learn(calibration, *[(1_000, 1_000)] * 10_000, (1_100, 1_250))

    assert 10_000 == pytest.approx(calibration.correct(TARGET, 10_000), rel=0.15)


def test_targets_are_learned_apart():
    """
    What one model reports says nothing of another.
    """
    calibration = Calibration()
    learn(calibration, (10, 200))

    assert calibration.knows(TARGET)
    assert not calibration.knows(Target("xai", "grok-5"))


@pytest.mark.parametrize(
    ("estimated", "reported"),
    [
        (10, None),
        (10, 0),
        (0, 10),
        (10, -5),
        (10, 10**400),
        (10**400, 10),
        (10, True),
        (10, "7"),
        (10, 1e300),
    ],
)
def test_what_is_no_report_teaches_nothing(estimated, reported):
    """
    Unknown is not zero, and nothing was estimated of nothing.
    """
    calibration = Calibration()
    calibration.learn(TARGET, estimated=estimated, reported=reported)

    assert not calibration.knows(TARGET)


def test_a_limit_is_turned_around():
    """
    What fits a limit by its own estimate is within it by the target's own count.
    """
    calibration = Calibration()
    learn(calibration, (10, 200), (4_000, 5_200), (8_000, 10_200))

    room = calibration.uncorrect(TARGET, 8_192)

    assert room < 8_192
    assert 8_192 == pytest.approx(calibration.correct(TARGET, room), abs=2)
    assert 0 == calibration.uncorrect(TARGET, 10)
    assert 0.03 == pytest.approx(calibration.margin(TARGET), abs=0.01)


def test_the_margin_shrinks_with_what_is_known_of_long_requests():
    """
    A report of "hello" says nothing of how long a history is; those of long requests do.
    """
    greeted, informed = Calibration(), Calibration()
    learn(greeted, (8, 12), (9, 11))
    learn(informed, *[(50_000, 52_000)] * 10)

    margins = [each.margin(TARGET) for each in (Calibration(), greeted, informed)]

    assert 0.1 == margins[0] == pytest.approx(margins[1], rel=0.01)
    assert 0.02 <= margins[2] < 0.04


def test_corrections_are_never_below_nothing():
    """
    An empty request is no negative number of tokens.
    """
    calibration = Calibration()
    learn(calibration, *((each, max(1, each - 100)) for each in range(100, 200, 20)))

    assert 0 == calibration.correct(TARGET, 1)
