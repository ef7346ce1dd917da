"""The site's words: every language says everything, with the same facts in it."""

import json
import re
from pathlib import Path
from typing import Final

import pytest

STATIC: Final = Path(__file__).parents[2] / "static"
LANGUAGES: Final = sorted(path.stem for path in (STATIC / "i18n").glob("*.json"))
ENGLISH: Final[dict[str, str]] = json.loads((STATIC / "i18n" / "en.json").read_text())
_facts = re.compile(r"\{(\w+)\}").findall
_used = re.compile(r"""\bt\("([a-z_.]+)"|data-t="([a-z_.]+)\"""").findall


def test_the_site_speaks_english_german_and_hindi():
    assert LANGUAGES == ["de", "en", "hi"]
    offered = re.search(r"LANGUAGES = \{(.*?)\}", (STATIC / "i18n.js").read_text())
    assert offered is not None
    assert sorted(re.findall(r"(\w+):", offered[1])) == LANGUAGES


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_a_language_has_every_sentence_with_the_same_facts(language: str):
    words = json.loads((STATIC / "i18n" / f"{language}.json").read_text())
    assert words.keys() == ENGLISH.keys()
    for key, sentence in words.items():
        assert sentence.strip(), key
        assert sorted(_facts(sentence)) == sorted(_facts(ENGLISH[key])), key


def test_every_sentence_that_a_page_asks_for_exists():
    for path in [*STATIC.rglob("*.js"), STATIC / "index.html"]:
        asked = {one or other for one, other in _used(path.read_text())}
        assert asked <= ENGLISH.keys(), (path.name, asked - ENGLISH.keys())


def test_no_language_names_a_key_twice():
    for language in LANGUAGES:
        pairs = json.loads((STATIC / "i18n" / f"{language}.json").read_text(), object_pairs_hook=list)
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), language
