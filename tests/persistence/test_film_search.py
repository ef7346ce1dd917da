"""Finding films by what people type: without accents, with slips of the finger, the best match first, page by page."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.ids import mint
from persistence import catalog, movies
from persistence.catalog import Movie, MovieFilter
from persistence.database import Pool
from persistence.movies import MovieSearch

NOW = 1_800_000_000_000
FILM = Movie("", "", "", 100, (), ("en",), "U", (), "", None, None, None, None, {}, "published")
TITLES = (
    "Amélie", "Über Berlin", "Die große Straße", "Łódź", "Señor Niño", "İstanbul Hatırası", "Café Society", "La Strada",
    "The Matrix", "Matrix", "Matrix Reloaded", "Matrixes", "Inside the Matrix", "Biomatrix", "Moulin Rouge",
    "The Godfather", "100% Wolf", "10 Things", "A_B", "ACB", "Привет", "दिल",
)  # fmt: skip


async def fill(pool: Pool, *titles: str, publication: str = "published") -> None:
    films = [replace(FILM, id=mint(NOW), title=title, publication=publication) for title in titles]
    assert await catalog.put_movies(pool, films) == len(titles)


async def found(pool: Pool, text: str | None, piece: int = 100) -> list[str]:
    """All that is found, read in pieces."""
    titles: list[str] = []
    wanted = MovieFilter(text=text)
    while True:
        rows = await catalog.movies(pool, wanted, NOW, piece + 1)
        titles += [row.title for row in rows[:piece]]
        if len(rows) <= piece:
            return titles
        wanted = replace(wanted, after=(rows[piece - 1].sort_key, rows[piece - 1].id))


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        # the title, as whole words, by its letters, a word inside, anywhere
        ("matrix", ["Matrix", "Matrix Reloaded", "Matrixes", "Inside the Matrix", "The Matrix", "Biomatrix"]),
        ("  MATRIX ", ["Matrix", "Matrix Reloaded", "Matrixes", "Inside the Matrix", "The Matrix", "Biomatrix"]),
        ("amelie", ["Amélie"]),
        ("AMÉLIE", ["Amélie"]),
        ("ame\u0301lie", ["Amélie"]),
        ("uber", ["Über Berlin"]),
        ("grosse strasse", ["Die große Straße"]),
        ("lodz", ["Łódź"]),
        ("senor nino", ["Señor Niño"]),
        ("istanbul", ["İstanbul Hatırası"]),
        ("cafe", ["Café Society"]),
        ("mulin rouge", ["Moulin Rouge"]),
        ("godfahter", ["The Godfather"]),
        ("reloaded matrix", ["Matrix Reloaded"]),
        ("привет", ["Привет"]),
        ("दिल", ["दिल"]),
        ("100%", ["100% Wolf"]),
        ("%", ["100% Wolf"]),
        ("a_b", ["A_B"]),
        ("\\", []),
        ("nothing like that", []),
    ],
)
async def test_the_best_match_comes_first(pool: Pool, text: str, titles: list[str]) -> None:
    await fill(pool, *TITLES)
    heard = await found(pool, text)
    assert heard[: len(titles)] == titles
    if titles[0:1] != ["Matrix Reloaded"]:  # what is spelled alike may be joined by what is less so
        assert heard == titles


async def test_without_a_text_films_come_by_title_whatever_their_accents(pool: Pool) -> None:
    await fill(pool, "Zebra", "Étoile", "eagle", "Ärger", "Fin")
    assert await found(pool, None) == ["Ärger", "eagle", "Étoile", "Fin", "Zebra"]


async def test_drafts_are_found_by_their_makers_only(pool: Pool) -> None:
    await fill(pool, "Moulin Rouge")
    await fill(pool, "Mulin", publication="draft")
    assert await found(pool, "mulin rouge") == await found(pool, "mulin") == ["Moulin Rouge"]
    rows = await movies.listed(pool, MovieSearch(text="mulin"), NOW, 10)
    assert [row.title for row in rows] == ["Mulin"]
    rows = await movies.listed(pool, MovieSearch(text="mulin", publication="published"), NOW, 10)
    assert [row.title for row in rows] == ["Moulin Rouge"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    titles=st.lists(
        st.text("aAäÉe ½ß%_\\'1", min_size=1, max_size=12).filter(str.strip),
        min_size=1, max_size=25, unique_by=str.casefold,
    ),
    text=st.none() | st.text("aäEe ½%_\\1", max_size=3),
    piece=st.integers(1, 7),
)  # fmt: skip
async def test_pages_are_the_whole_list_in_pieces(pool: Pool, titles: list[str], text: str | None, piece: int) -> None:
    await pool.execute("DELETE FROM movie")
    await fill(pool, *dict.fromkeys(title.lower() for title in titles))
    whole = await found(pool, text)
    assert await found(pool, text, piece) == whole
    if text is None:
        assert len(whole) == await pool.fetchval("SELECT count(*) FROM movie")


async def test_titles_that_sort_alike_are_each_on_one_page(pool: Pool) -> None:
    long = "É" * 200
    await fill(pool, *(f"{long}{end}" for end in "abcdefg"), "E" * 200)
    assert sorted(await found(pool, None, 2)) == sorted(await found(pool, None)) == sorted(await found(pool, "eeee", 3))
    rows = await catalog.movies(pool, MovieFilter(), NOW, 10)
    assert max(len(row.sort_key) for row in rows) <= 250
