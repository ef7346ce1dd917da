-- Who a booking is for, how it is being paid, and what the sandbox provider knows. A contact is personal data: it lives
-- here and never in the log, so that it can be erased.

CREATE TABLE booking_contact (
    booking_id uuid PRIMARY KEY,
    account_id text NOT NULL,
    email      text NOT NULL,
    name       text NOT NULL DEFAULT '',
    phone      text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL
);
CREATE INDEX booking_contact_account ON booking_contact (account_id);

-- One row for each payment ever started; the log says what became of it.
CREATE TABLE payment (
    payment_id        uuid PRIMARY KEY,
    booking_id        uuid NOT NULL,
    showtime_id       uuid NOT NULL,
    owner             text NOT NULL,
    provider          text NOT NULL,
    provider_order_id text NOT NULL,
    amount            bigint NOT NULL CHECK (amount >= 0),
    currency          text NOT NULL,
    created_at        timestamptz NOT NULL,
    UNIQUE (provider, provider_order_id)
);
CREATE INDEX payment_booking ON payment (booking_id);

-- The sandbox's own books, as a provider on the other side of the network would keep them. Amounts are what its customer
-- really paid. Nothing here belongs to the house.
CREATE TABLE sandbox_order (
    order_id            text PRIMARY KEY,
    payment_id          uuid NOT NULL UNIQUE,
    amount              bigint NOT NULL CHECK (amount >= 0),
    currency            text NOT NULL,
    status              text NOT NULL DEFAULT 'created' CHECK (status IN ('created', 'succeeded', 'failed')),
    provider_payment_id text NOT NULL DEFAULT ''
);
