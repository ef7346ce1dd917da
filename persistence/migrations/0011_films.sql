-- A film is known by its title and its languages: the same film dubbed may come out on the same day. What lists were
-- imported from name each film by an external id, so that reading a list again finds it under a new title, too.
DROP INDEX movie_title_release;
CREATE UNIQUE INDEX movie_title_languages ON movie (lower(title), coalesce(release_date, 'infinity'), languages);
CREATE UNIQUE INDEX movie_list_key ON movie ((external_ids ->> 'list'));
