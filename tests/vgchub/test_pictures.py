"""Where the parts of pictures go."""

import pytest

from vgchub.pictures import LinePicture, line_picture, seat_bar


def positions(picture: LinePicture) -> list[int]:
    return [person.at for person in picture.people]


def test_seat_bar_parts_stand_side_by_side() -> None:
    bar = seat_bar(500, confirmed=250, offered=125, reserved=25)
    assert [(part.start, part.width) for part in bar.values()] == [(0, 5000), (5000, 2500), (7500, 500)]


def test_seat_bar_of_no_seats_is_empty() -> None:
    assert [part.width for part in seat_bar(0, 0, 0, 0).values()] == [0, 0, 0]


def test_line_shows_everybody_of_a_short_line() -> None:
    picture = line_picture(9, 4, 3)
    assert positions(picture) == list(range(1, 10))
    assert [person.at for person in picture.people if person.is_you] == [4]
    assert [person.at for person in picture.people if person.is_likely] == [1, 2, 3]


def test_line_leaves_out_the_middle_of_a_long_line_and_never_you() -> None:
    picture = line_picture(3420, 213, 41)
    assert positions(picture) == [1, 2, 3, 4, 5, 211, 212, 213, 214, 215, 3419, 3420]
    assert [(gap.first, gap.last) for gap in picture.gaps] == [(6, 210), (216, 3418)]


def test_line_shade_ends_within_the_gap_by_proportion() -> None:
    picture = line_picture(3420, 213, 108)  # half of those between 5 and 211
    assert abs(picture.shade - picture.gaps[0].x) <= 1


@pytest.mark.parametrize("waiting", [0, 1, 16, 17, 20, 1000])
def test_line_fits_its_width_wherever_you_stand(waiting: int) -> None:
    for position in (None, *range(1, waiting + 1)):
        for likely in (0, 1, waiting // 2, waiting, waiting + 5):
            picture = line_picture(waiting, position, likely)
            assert all(person.x <= 350 for person in picture.people)
            assert picture.shade <= 356
            assert sum(person.is_you for person in picture.people) == (position is not None)
            hidden = sum(gap.last - gap.first + 1 for gap in picture.gaps)
            assert hidden + len(picture.people) == waiting
