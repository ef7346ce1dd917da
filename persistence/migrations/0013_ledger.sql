-- Every amount, where it came from and where it went: double entry, one row for each posting. `version` is that of the
-- event a posting follows from; it is null for what was done at a provider, which the log does not know.

CREATE TABLE ledger (
    ref         text PRIMARY KEY,
    payment_id  text NOT NULL,
    booking_id  uuid NOT NULL,
    showtime_id uuid NOT NULL,
    debit       text NOT NULL CHECK (debit IN ('authorised', 'captured', 'sales', 'kept', 'refunds_due')),
    credit      text NOT NULL CHECK (credit IN ('authorised', 'captured', 'sales', 'kept', 'refunds_due')),
    amount      bigint NOT NULL CHECK (amount > 0),
    currency    text NOT NULL,
    at          timestamptz NOT NULL,
    version     bigint,
    CHECK (debit <> credit)
);
CREATE INDEX ledger_showtime ON ledger (showtime_id);
CREATE INDEX ledger_payment ON ledger (payment_id);
