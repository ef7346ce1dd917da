-- The journal: an append-only log for each showtime, and the tables that are worked out from it.
--
-- `event` is the truth. Everything below `snapshot` can be thrown away and rewritten by `marquee rebuild`.

-- The head of every log. An append raises `version` only where `version` and `epoch` are what the writer believes
-- them to be: that comparison is the fence that keeps two owners from writing one showtime. `deadline` (milliseconds,
-- null for never) is the next moment at which something falls due, so that a restart knows whom to wake. No index on it:
-- every append changes it, and an update must stay inside its page.
CREATE TABLE stream (
    showtime_id uuid PRIMARY KEY,
    number      integer NOT NULL UNIQUE CHECK (number > 0),
    version     bigint NOT NULL CHECK (version > 0),
    epoch       bigint NOT NULL CHECK (epoch >= 0),
    deadline    bigint
) WITH (fillfactor = 50);

CREATE FUNCTION from_millis(bigint) RETURNS timestamptz LANGUAGE sql STABLE RETURN timestamptz 'epoch' + $1 * interval '1 millisecond';
CREATE FUNCTION to_millis(timestamptz) RETURNS bigint LANGUAGE sql STABLE RETURN (date_part('epoch', $1) * 1000)::bigint;

-- `key` is the command id where the client chose it (an idempotency key) and may send the command again. One command
-- may cause several events, so it is not unique. `body` is `[[cause…], event fields…]`; persistence/codec.py has the order
-- of fields for each kind under `schema`.
CREATE TABLE event (
    showtime_id uuid NOT NULL,
    version     bigint NOT NULL,
    epoch       bigint NOT NULL,
    at          timestamptz NOT NULL,
    key         uuid,
    schema      smallint NOT NULL,
    kind        text NOT NULL,
    body        jsonb NOT NULL,
    PRIMARY KEY (showtime_id, version)
);
CREATE INDEX event_key ON event (showtime_id, key) WHERE key IS NOT NULL;

CREATE TABLE snapshot (
    showtime_id uuid PRIMARY KEY,
    version     bigint NOT NULL,
    schema      smallint NOT NULL,
    taken_at    timestamptz NOT NULL DEFAULT now(),
    state       bytea NOT NULL
);

-- One row for each booking ever placed. Amounts are minor units of `currency`; `total` is what its present lines cost.
CREATE TABLE booking (
    booking_id          uuid PRIMARY KEY,
    showtime_id         uuid NOT NULL,
    reference           text NOT NULL UNIQUE,
    hold_id             uuid NOT NULL,
    owner               text NOT NULL,
    status              text NOT NULL CHECK (status IN ('pending_payment', 'confirmed', 'cancelled', 'expired')),
    currency            text NOT NULL,
    total               bigint NOT NULL,
    paid                bigint NOT NULL,
    refunded            bigint NOT NULL,
    payment_status      text NOT NULL
        CHECK (payment_status IN ('none', 'pending', 'succeeded', 'failed', 'partially_refunded', 'refunded')),
    payment_id          text NOT NULL,
    provider            text NOT NULL,
    provider_payment_id text NOT NULL,
    reason              text NOT NULL,
    version             bigint NOT NULL,
    created_at          timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL,
    confirmed_at        timestamptz,
    ended_at            timestamptz,
    CHECK (refunded <= paid)
);
CREATE INDEX booking_owner ON booking (owner, created_at DESC, booking_id);
CREATE INDEX booking_showtime ON booking (showtime_id, created_at);
CREATE INDEX booking_created ON booking (created_at DESC, booking_id);

-- Every seat a booking ever had. `live` seats are claimed by it now: the unique index is the second witness, beside the
-- actor, that no seat is sold twice.
CREATE TABLE booking_seat (
    booking_id  uuid NOT NULL,
    seat        text NOT NULL,
    showtime_id uuid NOT NULL,
    position    smallint NOT NULL,
    live        boolean NOT NULL,
    ticket_id   text NOT NULL,
    category    text NOT NULL,
    ticket_type text NOT NULL,
    amount      bigint NOT NULL,
    fee         bigint NOT NULL,
    tax         bigint NOT NULL,
    PRIMARY KEY (booking_id, seat)
);
CREATE UNIQUE INDEX booking_seat_live ON booking_seat (showtime_id, seat) WHERE live;
CREATE INDEX booking_seat_ticket ON booking_seat (ticket_id) WHERE ticket_id <> '';

-- What was sold and given back on each day (UTC, by the time of the event), for each showtime.
CREATE TABLE daily_sales (
    day             date NOT NULL,
    showtime_id     uuid NOT NULL,
    currency        text NOT NULL,
    bookings        bigint NOT NULL,
    seats           bigint NOT NULL,
    captured        bigint NOT NULL,
    seats_cancelled bigint NOT NULL,
    refunded        bigint NOT NULL,
    PRIMARY KEY (day, showtime_id, currency)
);
CREATE INDEX daily_sales_showtime ON daily_sales (showtime_id);

-- Effects on the world, stored in the transaction of the event that asks for them and worked afterwards, at least once.
-- The dedupe key is also the provider's idempotency key and the letter's Message-ID.
CREATE TABLE job (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    dedupe_key  text NOT NULL UNIQUE,
    showtime_id uuid NOT NULL,
    payload     jsonb NOT NULL,
    state       text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'running', 'done', 'stuck')),
    attempts    integer NOT NULL DEFAULT 0,
    next_at     timestamptz NOT NULL DEFAULT now(),
    last_error  text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX job_ready ON job (next_at) WHERE state IN ('ready', 'running');
CREATE INDEX job_showtime ON job (showtime_id);
