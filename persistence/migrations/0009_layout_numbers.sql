-- Versions of drawings that were taken away. Caches may keep a version for ever, so its number never names another one.

CREATE TABLE layout_gone (
    family_id uuid NOT NULL,
    version   integer NOT NULL,
    PRIMARY KEY (family_id, version)
);
CREATE INDEX showtime_layout ON showtime (layout_id);
CREATE INDEX screen_layout ON screen (layout_id);
