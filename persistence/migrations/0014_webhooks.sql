-- Outgoing webhooks: who wants to hear of what, each message to each of them, and every attempt to hand it over.
--
-- The secret stands here as it is, because it signs: whoever reads this table can speak in our name, to partners only.

CREATE TABLE webhook (
    id               uuid PRIMARY KEY,
    theatre_id       uuid REFERENCES theatre ON DELETE CASCADE,
    url              text NOT NULL,
    events           text[] NOT NULL CHECK (cardinality(events) > 0),
    description      text NOT NULL,
    active           boolean NOT NULL,
    stopped          text NOT NULL DEFAULT '',
    secret           bytea NOT NULL,
    old_secret       bytea,
    old_secret_until timestamptz,
    failing_since    timestamptz,
    failures         integer NOT NULL DEFAULT 0,
    revision         integer NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL,
    CHECK (stopped = '' OR NOT active),
    CHECK ((old_secret IS NULL) = (old_secret_until IS NULL))
);
CREATE INDEX webhook_created ON webhook (created_at, id);

-- `body` is what is sent, byte for byte. A replay is the next `round` of the same delivery; `tries` counts within it.
CREATE TABLE webhook_delivery (
    id           uuid PRIMARY KEY,
    webhook_id   uuid NOT NULL REFERENCES webhook ON DELETE CASCADE,
    dedupe_key   text NOT NULL,
    type         text NOT NULL,
    showtime_id  uuid,
    body         bytea NOT NULL,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    round        integer NOT NULL DEFAULT 0,
    tries        integer NOT NULL DEFAULT 0,
    attempts     integer NOT NULL DEFAULT 0,
    last_status  smallint,
    last_error   text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT date_trunc('milliseconds', now()),
    delivered_at timestamptz,
    UNIQUE (webhook_id, dedupe_key)
);
CREATE INDEX webhook_delivery_newest ON webhook_delivery (webhook_id, created_at DESC, id DESC);
CREATE INDEX webhook_delivery_created ON webhook_delivery (created_at);

CREATE TABLE webhook_attempt (
    delivery_id uuid NOT NULL REFERENCES webhook_delivery ON DELETE CASCADE,
    number      integer NOT NULL,
    at          timestamptz NOT NULL,
    took_ms     integer NOT NULL,
    status      smallint,
    answer      bytea NOT NULL,
    error       text NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
