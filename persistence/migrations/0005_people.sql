-- What people prove, ask for and are granted. Codes and one-time tokens are stored as digests only; all of it can be
-- erased without touching the log.

-- `grants` counts changes of what an account may do: an access token carries the count of its time, and an older one is
-- refused. `revision` counts every change, for If-Match.
ALTER TABLE account
    ADD COLUMN revision          integer NOT NULL DEFAULT 1,
    ADD COLUMN grants            integer NOT NULL DEFAULT 1,
    ADD COLUMN granted_at        timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN email_verified_at timestamptz,
    ADD COLUMN phone_verified_at timestamptz,
    ADD COLUMN erased_at         timestamptz,
    ADD COLUMN preferences       jsonb NOT NULL DEFAULT '{}',
    ADD CHECK (phone_verified_at IS NULL OR phone IS NOT NULL);

CREATE INDEX account_granted ON account (granted_at) WHERE granted_at > '-infinity';
CREATE UNIQUE INDEX account_phone ON account (phone) WHERE phone_verified_at IS NOT NULL;
CREATE INDEX account_members ON account (created_at DESC, id) WHERE email IS NOT NULL OR phone IS NOT NULL;
CREATE INDEX account_search ON account USING gin ((coalesce(email, '') || ' ' || lower(display_name)) gin_trgm_ops);

-- A token from a letter, good once: to choose a new password, or to prove that an address is one's own. `email` is
-- where it was sent, so that it proves nothing about another address.
CREATE TABLE letter_token (
    digest     bytea PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    purpose    text NOT NULL CHECK (purpose IN ('reset', 'verify')),
    email      text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX letter_token_account ON letter_token (account_id, purpose);
CREATE INDEX letter_token_expires ON letter_token (expires_at);

-- The code that a phone number was sent last. Each try is counted before it is judged.
CREATE TABLE phone_code (
    phone      text PRIMARY KEY,
    digest     bytea NOT NULL,
    tries      integer NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL
);

-- Somebody would like to run a theatre here. An approved application has made one.
CREATE TABLE theatre_application (
    id         uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account,
    name       text NOT NULL,
    city       text NOT NULL,
    address    text NOT NULL,
    contact    jsonb NOT NULL,
    message    text NOT NULL,
    time_zone  text NOT NULL,
    currency   text NOT NULL,
    status     text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected')),
    reason     text NOT NULL DEFAULT '',
    theatre_id uuid,
    decided_by uuid,
    decided_at timestamptz,
    created_at timestamptz NOT NULL,
    CHECK ((status = 'approved') = (theatre_id IS NOT NULL)),
    CHECK ((status = 'pending') = (decided_at IS NULL))
);
CREATE INDEX theatre_application_status ON theatre_application (status, created_at DESC, id);
CREATE INDEX theatre_application_account ON theatre_application (account_id);
