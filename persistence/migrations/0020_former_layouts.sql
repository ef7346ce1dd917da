-- Drawings that the log of a showtime needs although it has moved to another one since. They are not deleted.

CREATE TABLE former_layout (
    showtime_id uuid NOT NULL REFERENCES showtime ON DELETE CASCADE,
    layout_id   uuid NOT NULL REFERENCES layout,
    PRIMARY KEY (showtime_id, layout_id)
);
CREATE INDEX former_layout_layout ON former_layout (layout_id);
