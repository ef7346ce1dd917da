-- Payments through providers on the other side of a network, whose news may come before we know the order's name, twice,
-- out of order, or never.

ALTER TABLE payment DROP CONSTRAINT payment_provider_provider_order_id_key;
CREATE UNIQUE INDEX payment_order ON payment (provider, provider_order_id) WHERE provider_order_id <> '';

-- Why the provider refused it last; empty while it has not.
ALTER TABLE payment ADD COLUMN failure text NOT NULL DEFAULT '';

-- What providers told us: only that there is news, and of which payment. The bodies hold personal data and are not kept.
CREATE TABLE provider_news (
    provider    text NOT NULL,
    event_id    text NOT NULL,
    payment_id  text NOT NULL,
    order_id    text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (provider, event_id)
);
CREATE INDEX provider_news_received ON provider_news (received_at);

-- The sandbox learns what real providers know: money is promised first and taken afterwards, or let go.
ALTER TABLE sandbox_order DROP CONSTRAINT sandbox_order_status_check;
ALTER TABLE sandbox_order ALTER COLUMN status SET DEFAULT 'open';
UPDATE sandbox_order SET status = CASE status WHEN 'created' THEN 'open' WHEN 'succeeded' THEN 'captured' ELSE status END;
ALTER TABLE sandbox_order ADD CHECK (status IN ('open', 'failed', 'authorised', 'captured', 'voided'));

CREATE TABLE sandbox_refund (
    order_id  text NOT NULL REFERENCES sandbox_order,
    refund_id text NOT NULL,
    amount    bigint NOT NULL CHECK (amount > 0),
    PRIMARY KEY (order_id, refund_id)
);
