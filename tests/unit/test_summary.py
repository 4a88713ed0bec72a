"""Summaries: sentences of the text, the telling ones, once each, within what was asked for."""

from hypothesis import given, settings
from hypothesis import strategies as st

from enhanced_memory.daemon.summary import Line, summarize

STORY = [
    Line("Hi everyone, good morning!", "Mara", 1),
    Line("The relay in the tower lost its signal during the night.", "Mara", 2),
    Line("What could have caused it?", "Teo", 3),
    Line("I found water in the relay's housing, so the signal of the tower was lost.", "Teo", 4),
    Line("Ugh, thanks.", "Mara", 5),
    Line("Mara decided to replace the housing of the relay before the storm on Friday.", "", 6),
    Line("I feel guilty about the relay, because I skipped the inspection of the tower.", "Teo", 7),
    Line("2026-11-03 04:12:55 ERROR relay[211]: signal=0 code=0x7f {retry: 3}", "Teo", 8),
    Line("Lunch was fine.", "Teo", 9),
]


def test_a_summary_is_made_of_sentences_of_the_text() -> None:
    gist = summarize(STORY)
    said = {line.id: line for line in STORY}
    everything = [
        *gist.sentences,
        *gist.key_events,
        *gist.plot_points,
        *(one for each in gist.developments.values() for one in each),
    ]
    assert everything
    for one in everything:
        assert one.text in said[one.line].text
        assert one.speaker == said[one.line].speaker


def test_what_is_said_to_be_polite_asked_or_logged_does_not_lead() -> None:
    chosen = {one.line for one in summarize(STORY, chars=240).sentences}
    assert chosen <= {2, 4, 6, 7}
    assert len(chosen) >= 2


def test_what_happened_who_felt_what_and_what_follows_are_told_apart() -> None:
    gist = summarize(STORY)
    assert {2, 4} <= {one.line for one in gist.key_events}
    assert [one.line for one in gist.developments["Teo"]] == [7]
    assert [one.line for one in gist.developments["Mara"]] == [6]
    assert 6 in {one.line for one in gist.plot_points}
    assert 3 not in {one.line for one in [*gist.key_events, *gist.plot_points]}


def test_a_summary_says_which_lines_it_covers() -> None:
    gist = summarize(STORY)
    assert (gist.first, gist.last, gist.lines) == (1, 9, 9)


def test_a_thing_that_is_said_again_and_again_is_told_once() -> None:
    lines = [Line("The north gate stays locked after nine in the evening.", id=number) for number in range(20)]
    lines.append(Line("The south gate needs a new hinge, said the gardener.", id=20))
    texts = [one.text for one in summarize(lines, chars=400).sentences]
    assert len(texts) == len(set(texts)) == 2


def test_of_a_series_that_differs_in_its_figures_one_is_told() -> None:
    lines = [Line(f"Teo met the pilot Osk on day {day}.", "Teo", day) for day in range(1, 40)]
    lines.insert(20, Line("Mara swore to leave the town with her brother.", "Mara", 100))
    made = summarize(lines)
    assert made.text.count("met the pilot") == 1
    assert "swore to leave" in made.text


def test_two_figures_for_one_thing_are_both_told() -> None:
    lines = [Line("The budget for the roof is 500 euros.", "", 1), Line("The budget for the roof is 800 euros.", "", 2)]
    made = summarize(lines)
    assert "500" in made.text
    assert "800" in made.text


def test_a_summary_keeps_to_its_length() -> None:
    lines = [
        Line(f"Team number {n} built bridge {n} over river {n} in the valley of stones.", id=n) for n in range(200)
    ]
    for chars in (100, 400, 1600):
        text = summarize(lines, chars=chars).text
        assert 0 < len(text) <= chars


def test_speakers_are_named_and_a_text_without_them_is_prose() -> None:
    assert summarize(STORY).text.splitlines()[0].startswith("Mara: ")
    plain = [Line("The tower has a relay and a lamp.", id=1), Line("The lamp of the tower burns oil.", id=2)]
    assert summarize(plain).text == "The tower has a relay and a lamp. The lamp of the tower burns oil."


def test_nothing_to_say_makes_an_empty_summary() -> None:
    for lines in ([], [Line("")], [Line("ok"), Line("thanks!"), Line("\x01\x02�� \x7f")]):
        gist = summarize(lines)
        assert (gist.text, gist.sentences, gist.key_events, gist.developments) == ("", [], [], {})


def test_a_megabyte_in_one_line_is_summarised() -> None:
    gist = summarize([Line("the quick relay sends another packet over the tower " * 20_000)])
    assert 0 < len(gist.text) <= 800


def test_chinese_and_japanese_are_summarised_too() -> None:
    lines = [Line("会议决定下周五之前完成服务器迁移。"), Line("服务器迁移由李明负责完成。"), Line("好的。")]
    assert "服务器迁移" in summarize(lines).text


@given(st.lists(st.builds(Line, st.text(max_size=80), st.sampled_from(["", "A", "B"])), max_size=12))
@settings(max_examples=60, deadline=None)
def test_whatever_the_lines_are_the_same_ones_make_the_same_summary(lines: list[Line]) -> None:
    assert summarize(lines) == summarize(list(lines))
