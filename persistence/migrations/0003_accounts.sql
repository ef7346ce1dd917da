-- People, their sessions and the answers already given to them. Personal data lives here and never in the event log,
-- so it can be erased. Secrets are stored as digests only.

CREATE TABLE account (
    id            uuid PRIMARY KEY,
    email         text,
    display_name  text NOT NULL DEFAULT '',
    phone         text,
    locale        text NOT NULL DEFAULT 'en',
    time_zone     text NOT NULL DEFAULT 'UTC',
    password_hash text,
    roles         text[] NOT NULL,
    theatre_ids   uuid[] NOT NULL DEFAULT '{}',
    blocked_at    timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    CHECK (email = lower(email)),
    CHECK (roles <@ ARRAY['guest', 'customer', 'usher', 'box_office', 'manager', 'admin'])
);
CREATE UNIQUE INDEX account_email ON account (email);

-- A session is a family of refresh tokens: each is used once, and using one twice ends the session.
CREATE TABLE session (
    id         uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
    agent      text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    used_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX session_account ON session (account_id);
CREATE INDEX session_revoked ON session (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE refresh_token (
    digest     bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES session ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_token_session ON refresh_token (session_id);

-- `status` is null while the first request with that key is still being answered.
CREATE TABLE idempotency (
    caller       text NOT NULL,
    method       text NOT NULL,
    path         text NOT NULL,
    key          text NOT NULL,
    body_hash    bytea NOT NULL,
    status       integer,
    content_type text,
    body         bytea,
    claimed_at   timestamptz NOT NULL,
    PRIMARY KEY (caller, method, path, key)
);
CREATE INDEX idempotency_claimed ON idempotency (claimed_at);
