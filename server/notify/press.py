"""The press: letters set from templates, as plain text and as HTML, off the event loop.

A letter has one template in `templates/letters/`, which says what stands in it. Twice it is set: with the frame and the
parts of `templates/text/` and with those of `templates/html/`, where everything is escaped that does not come from a
template. A fact that a template names and nobody gives is an error, never an empty place.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar
from unicodedata import category

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from server.background import step_back
from server.notify.speech import LANGUAGES, Speech, speech_for

TEMPLATES: Final = Path(__file__).parent / "templates"
KINDS: Final = tuple(sorted(path.stem for path in (TEMPLATES / "letters").glob("*.jinja")))
_UNSPOKEN: Final = frozenset(("Cc", "Cs", "Zl", "Zp"))
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A letter that has been set."""

    subject: str
    text: str
    html: str


class Press:
    """One thread of the lowest priority: a crowd that books at once has its seats now, its letters a bit later."""

    def __init__(self) -> None:
        self._text = _environment("text", escaping=False)
        self._html = _environment("html", escaping=True)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="press", initializer=step_back)

    def warm_up(self) -> None:
        """Read templates and languages beforehand, in the thread: the first letter is not slower than others."""
        self._thread.submit(self._read_all)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[], T]) -> T:
        """Have it done in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def set(self, kind: str, speech: Speech, told: Mapping[str, Any], facts: Mapping[str, Any]) -> Sheet:
        """A letter of this kind. To be called in the thread.

        `told` fills its sentences, `facts` decide which of them stand there. KeyError, jinja2.UndefinedError.
        """
        subject = _line(speech.say(f"{kind}.subject", **told))
        common = {"kind": kind, "subject": subject, "language": speech.language, "told": told, **facts}
        common["knows"] = speech.knows
        text = _printed(self._text, kind, {**common, "say": partial(speech.say, **told)})
        html = _printed(self._html, kind, {**common, "say": partial(speech.say_in_html, **told)})
        return Sheet(subject, _tidy(text), html)

    def _read_all(self) -> None:
        for kind in KINDS:
            self._text.get_template(f"{kind}.jinja")
            self._html.get_template(f"{kind}.jinja")
        for language in LANGUAGES:
            speech_for(language).money(1, "EUR")


def _printed(environment: Environment, kind: str, context: dict[str, Any]) -> str:
    parts = environment.get_template("parts.jinja").make_module(context)
    return environment.get_template(f"{kind}.jinja").render(context, parts=parts)


@cache
def _environment(form: str, *, escaping: bool) -> Environment:
    """One for all presses: nothing about templates changes while we run."""
    return Environment(
        loader=FileSystemLoader((TEMPLATES / form, TEMPLATES / "letters")),
        autoescape=escaping,  # noqa: S701 (off for plain text only)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _line(text: str) -> str:
    """What stands in the head of a letter is one line, whatever somebody wrote into a title."""
    return " ".join("".join(" " if category(sign) in _UNSPOKEN else sign for sign in text).split())


def _tidy(text: str) -> str:
    """No more than one empty line at once."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip() + "\n"
