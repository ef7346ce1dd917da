-- Films are found by what people type: without accents, with a slip of the finger, and the best match first.

CREATE EXTENSION IF NOT EXISTS unaccent;

-- `unaccent` is called stable because its rules could be replaced; ours come with the server.
CREATE FUNCTION fold(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN lower(unaccent('unaccent'::regdictionary, normalize($1, NFKC)));

-- Bounded, because it is part of a cursor and folding may make a title longer.
ALTER TABLE movie ADD COLUMN folded text COLLATE "C" NOT NULL GENERATED ALWAYS AS (left(fold(title), 250)) STORED;
DROP INDEX movie_title_id;
DROP INDEX movie_title_trigrams;
CREATE INDEX movie_folded ON movie (folded, id);
CREATE INDEX movie_folded_trigrams ON movie USING gin (folded gin_trgm_ops);

-- The threshold below is a setting of the extension, which has to be loaded before it can be named.
SELECT show_trgm('');

-- Films that a text may mean, of a state of publication or of any; their keys sort the best first. Those that have the
-- text: the title itself, one that begins with it as words, one that begins with its letters, one with a word that does,
-- and the others. Only where there is none: those that are spelled alike, for which the planner would read every title,
-- because it takes a comparison of trigrams to be as cheap as one of numbers.
CREATE FUNCTION films_meant(wanted text, state text) RETURNS TABLE (id uuid, key text) LANGUAGE plpgsql STABLE ROWS 1000
SET pg_trgm.word_similarity_threshold = 0.4
SET enable_seqscan = off
AS $$
DECLARE
    typed text := btrim(fold(wanted));
BEGIN
    RETURN QUERY
        SELECT m.id, CASE
                WHEN m.folded = typed THEN '0'
                WHEN starts_with(m.folded, typed || ' ') THEN '1'
                WHEN starts_with(m.folded, typed) THEN '2'
                WHEN position(' ' || typed IN m.folded) > 0 THEN '3'
                ELSE '4' END || m.folded
        FROM movie m WHERE position(typed IN m.folded) > 0 AND (state IS NULL OR m.publication = state);
    IF NOT FOUND THEN
        RETURN QUERY
            SELECT m.id, to_char(5999 - 999 * word_similarity(typed, m.folded), 'FM0000') || m.folded
            FROM movie m WHERE typed <% m.folded AND (state IS NULL OR m.publication = state);
    END IF;
END $$;
