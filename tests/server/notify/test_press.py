"""Letters are set: every kind in every language, whole, escaped, and with nothing that phones home."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from server.notify import news
from server.notify.press import KINDS, Press, Sheet
from server.notify.speech import LANGUAGES, TRANSLATIONS, sentences, speech_for
from tests.server.notify.samples import LINK, NAME, TITLE, booking, drafts_of_all_kinds

DRAFTS = drafts_of_all_kinds()
SITE = "https://tickets.example"
_slots = re.compile(r"\{(\w+)\}").findall


@pytest.fixture(scope="module")
def press() -> Iterator[Press]:
    press = Press()
    yield press
    press.close()


def set_letter(press: Press, kind: str, locale: str, **changes: object) -> Sheet:
    draft, speech = DRAFTS[kind], speech_for(locale)
    facts = {"link": LINK, "site": SITE, "account": False, **draft.facts, **changes}
    return press.set(kind, speech, {"name": NAME, **draft.telling(speech)}, facts)


class Reading(HTMLParser):
    """Looks for elements that are left open, and collects what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "background", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


def test_every_template_has_a_sample_and_every_sample_a_template() -> None:
    assert set(KINDS) == set(DRAFTS)
    assert {path.stem for path in TRANSLATIONS.iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_says_everything_with_the_same_facts(language: str) -> None:
    source, other = sentences(LANGUAGES[0]), sentences(language)
    assert list(source) == list(other)
    assert {key for key in source if set(_slots(source[key])) != set(_slots(other[key]))} == set()
    assert all(sentence.strip() for sentence in other.values())


def test_every_sentence_is_said_somewhere() -> None:
    """What no letter, text or notice says any more is taken out in all languages."""
    folder = TRANSLATIONS.parent
    sources = "\n".join(path.read_text() for path in (*folder.rglob("*.py"), *folder.rglob("*.jinja")))
    made = {"text.booking_gone"} | {f"{kind}.{part}" for kind in KINDS for part in ("subject", "heading", "preview")}
    made |= {
        f"{form}.{kind}{end}" for kind in news.KINDS for form, end in (("text", ""), ("inbox", ""), ("inbox", ".text"))
    }
    said = {key for key in sentences("en") if f'"{key.removesuffix("_one")}"' in sources or f"'{key}'" in sources}
    unsaid = {key for key in sentences("en") if key not in said | made and not key.startswith("payment_returned.why.")}
    assert unsaid == set()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_letter_can_be_set_in_every_language(press: Press, kind: str, language: str) -> None:
    sheet = set_letter(press, kind, language)
    assert sheet.subject
    assert "\n" not in sheet.subject
    for part in (sheet.subject, sheet.text, sheet.html):
        assert "Undefined" not in part
        assert not _slots(re.sub(r"<style>.*?</style>", "", part, flags=re.DOTALL)), part
    assert sheet.text.startswith(f"{sentences(language)[f'{kind}.heading']}\n")
    assert "\n\n\n" not in sheet.text
    reading = Reading()
    reading.feed(sheet.html)
    assert reading.open == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_a_letter_is_fetched_from_anywhere(press: Press, kind: str) -> None:
    reading = Reading()
    html = set_letter(press, kind, "en").html
    reading.feed(html)
    assert not reading.tags & {"img", "link", "script", "iframe", "form", "object"}
    assert set(reading.addresses) <= {LINK}
    assert "url(" not in html
    assert "@import" not in html


@pytest.mark.parametrize("kind", KINDS)
def test_what_people_wrote_is_text_and_never_markup(press: Press, kind: str) -> None:
    html = set_letter(press, kind, "en").html
    assert "<i>" not in html
    assert "<b>" not in html
    assert "<light>" not in html
    assert "<one>" not in html
    assert "Ana &lt;b&gt;Bold&lt;/b&gt;" in html


@settings(deadline=None)
@given(title=st.text(), name=st.text(), language=st.sampled_from(LANGUAGES))
def test_no_title_and_no_name_can_break_a_letter(press: Press, title: str, name: str, language: str) -> None:
    speech = speech_for(language)
    told = {**DRAFTS["booking_confirmed"].telling(speech), "title": title, "name": name}
    facts = {"link": LINK, "site": SITE, "account": False, "again": False, "paid": True}
    sheet = press.set("booking_confirmed", speech, told, facts)
    assert not any(ord(sign) < 32 for sign in sheet.subject)
    reading = Reading()
    reading.feed(sheet.html)
    assert reading.open == []


def test_a_fact_that_is_missing_is_an_error_and_no_empty_place(press: Press) -> None:
    speech = speech_for("en")
    told = {"name": "", **DRAFTS["booking_confirmed"].telling(speech)}
    facts = {"link": LINK, "site": SITE, "account": False, "paid": True}
    with pytest.raises(UndefinedError):
        press.set("booking_confirmed", speech, told, facts)
    del told["title"]
    with pytest.raises(KeyError):
        press.set("booking_confirmed", speech, told, {**facts, "again": False})


@pytest.mark.parametrize(
    ("locale", "money", "time"),
    [
        ("en", "₹1,085.60", "7:00 PM"),
        ("en-IN", "₹1,085.60", "7:00 pm"),
        ("en-GB", "₹1,085.60", "19:00"),
        ("de", "1.085,60 ₹", "19:00"),
        ("de-AT", "₹ 1.085,60", "19:00"),
        ("hi", "₹1,085.60", "7:00 pm"),
        ("hi-IN", "₹1,085.60", "7:00 pm"),
        ("fr", "₹1,085.60", "7:00 PM"),
        ("xx-Nonsense", "₹1,085.60", "7:00 PM"),
        ("und", "₹1,085.60", "7:00 PM"),
    ],
)
def test_figures_are_the_readers_and_times_the_theatres(press: Press, locale: str, money: str, time: str) -> None:
    text = set_letter(press, "booking_confirmed", locale).text.replace("\u00a0", " ")
    assert money in text
    assert f", {time}\n" in text


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (45_000, "INR", "₹450.00"),
        (12_345_678_900, "INR", "₹12,34,56,789.00"),
        (1_250, "JPY", "JP¥1,250"),
        (1_250, "KWD", "KWD 1.250"),
        (1_250, "HUF", "HUF 12.50"),
        (0, "EUR", "€0.00"),
    ],
)
def test_minor_units_become_as_many_decimals_as_the_currency_has(amount: int, currency: str, shown: str) -> None:
    assert speech_for("en-IN").money(amount, currency).replace("\u00a0", " ") == shown


def test_one_seat_is_spoken_of_as_one(press: Press) -> None:
    speech = speech_for("en")
    one = booking(lines=booking().lines[:1])
    told = {"name": "", **DRAFTS["booking_confirmed"].telling(speech), "seats": "F7", "count": len(one.lines)}
    facts = {"link": LINK, "site": SITE, "account": False, "again": False, "paid": True}
    text = press.set("booking_confirmed", speech, told, facts).text
    assert "The seat is yours." in text
    assert "Seat: F7" in text
    assert text.splitlines()[2] == "Hello,"
    assert TITLE in text


@settings(deadline=None)
@given(st.from_regex(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", fullmatch=True))
def test_whatever_an_account_calls_its_locale_it_is_spoken_to(locale: str) -> None:
    speech = speech_for(locale)
    assert speech.language in LANGUAGES
    told = DRAFTS["booking_confirmed"].telling(speech)
    assert all(str(fact) for fact in told.values())
