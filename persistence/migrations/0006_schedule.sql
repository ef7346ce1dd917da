-- What planning needs: every term of a showtime in its row, so that a draft can wait there, and the epoch that its log
-- must begin above. A showtime that was never sold can be taken out of the programme and put back; an owner of its old
-- log that has not heard of that is shut out by the higher epoch.

ALTER TABLE showtime
    ADD COLUMN orphan_rule text NOT NULL DEFAULT 'lenient' CHECK (orphan_rule IN ('off', 'lenient')),
    ADD COLUMN epoch_floor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT showtime_length CHECK (ends_at <= starts_at + interval '24 hours');
