from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_simulators.wire.bts import BtsSession, Element, element, listed

QUESTION = b'<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0"><cmd>%b</cmd></bts>\n\n#\r\n'
ANSWER = b'<?xml version="1.0" encoding="UTF-8"?>\r\n<bts version="1.0">\r\n  <cmd>%b_resp</cmd>\r\n</bts>\n\n#\r\n'


@pytest.fixture
def session() -> BtsSession:
    return echo()


def echo() -> BtsSession:
    def answer(command: str, root: Element, now_s: float) -> tuple[float, str]:
        return 0.02, f"  <cmd>{command}_resp</cmd>\r\n"

    return BtsSession(answer)


def test_a_request_is_answered_in_the_frame_of_the_capture(session: BtsSession) -> None:
    assert session.feed(QUESTION % b"connect", 0.0) == [(0.02, ANSWER % b"connect")]


@given(st.lists(st.integers(0, 300), max_size=12))
def test_requests_are_answered_however_they_are_split(cuts: list[int]) -> None:
    session, asked = echo(), QUESTION % b"one" + QUESTION % b"two"
    edges = [0, *sorted(cuts), len(asked)]
    answers = [r for a, b in pairwise(edges) for _, r in session.feed(asked[a:b], 0.0)]
    assert answers == [ANSWER % b"one", ANSWER % b"two"]


def test_several_requests_at_once_are_answered_one_after_the_other(session: BtsSession) -> None:
    replies = session.feed(QUESTION % b"one" + QUESTION % b"two", 0.0)
    assert [delay for delay, _ in replies] == [0.02, 0.04]


def test_the_stray_quote_of_a_published_client_is_tolerated(session: BtsSession) -> None:
    stray = (QUESTION % b"start").replace(b"</bts>", b'<list count = "0"></list>"</bts>')
    assert session.feed(stray, 0.0) == [(0.02, ANSWER % b"start")]


def test_what_a_client_left_unfinished_is_not_part_of_the_next_request(session: BtsSession) -> None:
    session.feed((QUESTION % b"stop")[:70], 0.0)
    assert session.feed(QUESTION % b"inquire", 0.0) == [(0.02, ANSWER % b"inquire")]


@given(st.binary(max_size=300))
def test_garbage_is_not_answered_and_forgotten(garbage: bytes) -> None:
    session = echo()
    assert session.feed(garbage.replace(b"<", b"") + b"#\r\n", 0.0) == []
    assert session.feed(QUESTION % b"connect", 0.0) == [(0.02, ANSWER % b"connect")]


def test_elements_are_spelt_as_captured() -> None:
    assert element("data", seqid=1, log_code=100000) == '<data seqid="1" log_code="100000" />'
    assert element("start", "ok", chlid=1) == '<start chlid="1">ok</start>'
    assert element("inquire", barcode='a"<b') == """<inquire barcode='a"&lt;b' />"""
    assert listed([]) == '  <list count="0" />\r\n'
