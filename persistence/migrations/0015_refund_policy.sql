-- What comes back at which notice, for showtimes of a theatre whose planner says nothing else.
ALTER TABLE theatre ADD COLUMN refund_policy jsonb NOT NULL DEFAULT '[]';
