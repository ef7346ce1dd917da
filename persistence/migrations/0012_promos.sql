-- Promo codes, and what they took off each seat. A use is taken before a booking is asked for and counts while that
-- booking lives, or has not been heard of for a moment: nothing has to be given back when it ends.

CREATE TABLE promo_code (
    id                    uuid PRIMARY KEY,
    code                  text NOT NULL CHECK (code = upper(code)),
    theatre_id            uuid REFERENCES theatre ON DELETE CASCADE,
    percent_bps           integer NOT NULL DEFAULT 0 CHECK (percent_bps BETWEEN 0 AND 10000),
    amount                bigint NOT NULL DEFAULT 0 CHECK (amount >= 0),
    currency              text,
    min_seats             integer NOT NULL DEFAULT 1 CHECK (min_seats >= 1),
    ticket_types          text[] NOT NULL DEFAULT '{}',
    valid_from            timestamptz,
    valid_to              timestamptz,
    max_uses              integer CHECK (max_uses >= 0),
    max_uses_per_customer integer CHECK (max_uses_per_customer >= 0),
    active                boolean NOT NULL DEFAULT true,
    revision              integer NOT NULL DEFAULT 1,
    created_at            timestamptz NOT NULL,
    CHECK ((percent_bps > 0) <> (amount > 0)),
    CHECK ((amount > 0) = (currency IS NOT NULL))
);
CREATE UNIQUE INDEX promo_code_code ON promo_code (code);

CREATE TABLE promo_use (
    command_id uuid PRIMARY KEY,
    promo_id   uuid NOT NULL REFERENCES promo_code,
    account_id text NOT NULL,
    booking_id uuid NOT NULL UNIQUE,
    taken_at   timestamptz NOT NULL
);
CREATE INDEX promo_use_promo ON promo_use (promo_id, account_id);

ALTER TABLE booking_seat
    ADD COLUMN discount bigint NOT NULL DEFAULT 0 CHECK (discount >= 0),
    ADD COLUMN rules text NOT NULL DEFAULT '';
