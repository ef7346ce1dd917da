-- Jobs are worked now. A row is kept for ever, or at least its key: what was done once must never be done again.
--
-- ready: waits until `due_at`. running: claimed; `due_at` is when the claim lapses and anybody may claim it again.
-- done: the world has it. parked: given up until a person decides. dropped: a person decided against it (`note`).
-- `due_at` of the epoch is "at once", by whatever clock. `attempts` counts claims and is what tells one claim from
-- the next; `failures` counts those in a row that failed, the first of them at `failing_since`. `payload` is null once a
-- finished job is old.
ALTER TABLE job DROP CONSTRAINT job_state_check;
UPDATE job SET state = 'parked' WHERE state = 'stuck';
ALTER TABLE job ADD CONSTRAINT job_state_check CHECK (state IN ('ready', 'running', 'done', 'parked', 'dropped'));
ALTER TABLE job ALTER COLUMN showtime_id DROP NOT NULL;
ALTER TABLE job ALTER COLUMN payload DROP NOT NULL;
ALTER TABLE job RENAME COLUMN next_at TO due_at;
ALTER TABLE job ALTER COLUMN due_at SET DEFAULT 'epoch';
ALTER TABLE job ADD COLUMN failures integer NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN failing_since timestamptz;
ALTER TABLE job ADD COLUMN finished_at timestamptz;
ALTER TABLE job ADD COLUMN note text NOT NULL DEFAULT '';

-- Letters under the names that announcements have taken over: nobody would ever work them.
UPDATE job SET state = 'dropped', finished_at = now(), note = 'announcements took the place of these letters'
WHERE topic LIKE 'letter.%' AND state <> 'done';

DROP INDEX job_ready;
CREATE INDEX job_due ON job (topic, due_at, id) WHERE state IN ('ready', 'running');
CREATE INDEX job_unfinished ON job (state, id) WHERE state <> 'done';
CREATE INDEX job_old ON job (finished_at) WHERE finished_at IS NOT NULL AND payload IS NOT NULL;
DROP INDEX job_showtime;
CREATE INDEX job_showtime ON job (showtime_id, state);
ALTER TABLE job SET (autovacuum_vacuum_scale_factor = 0.02);
