-- What was refused to a command that came with a key: the same key gets the same answer, also after a restart. Changes
-- are remembered by the log; a refusal changes nothing, so it has a place of its own. `told` is our own JSON.
CREATE TABLE refusal (
    showtime_id uuid        NOT NULL,
    command_id  uuid        NOT NULL,
    intent      bigint      NOT NULL,
    told        bytea       NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (showtime_id, command_id)
);
CREATE INDEX refusal_at ON refusal (at);
