-- The inbox: what a person was told, as facts that are written out in the reader's language when somebody looks. The
-- dedupe key is that of the announcement, so one that is spread twice is told once.

CREATE TABLE notification (
    id          uuid PRIMARY KEY,
    account_id  uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    dedupe_key  text NOT NULL UNIQUE,
    kind        text NOT NULL,
    showtime_id uuid,
    booking_id  uuid,
    facts       jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    read_at     timestamptz
);
CREATE INDEX notification_account ON notification (account_id, created_at DESC, id);
CREATE INDEX notification_unread ON notification (account_id) WHERE read_at IS NULL;
CREATE INDEX notification_created ON notification (created_at);

-- The job that sends the code: it names no number, and finds it here while the code is good.
ALTER TABLE phone_code ADD COLUMN job_key text NOT NULL DEFAULT '';
CREATE INDEX phone_code_job ON phone_code (job_key) WHERE job_key <> '';
