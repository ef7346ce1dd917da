-- Price lists: what a showtime costs whose planner says nothing else. A list for a screen says more than one for its
-- theatre, and that more than one for all theatres with a currency; lists for showtimes count only where one names them.

CREATE TABLE price_list (
    id                  uuid PRIMARY KEY,
    name                text NOT NULL CHECK (name <> ''),
    scope               text NOT NULL CHECK (scope IN ('global', 'theatre', 'screen', 'showtime')),
    theatre_id          uuid REFERENCES theatre ON DELETE CASCADE,
    screen_id           uuid REFERENCES screen ON DELETE CASCADE,
    currency            text NOT NULL,
    prices              jsonb NOT NULL,
    default_ticket_type text,
    fee                 bigint CHECK (fee >= 0),
    tax_bps             integer CHECK (tax_bps BETWEEN 0 AND 10000),
    tax_included        boolean,
    rules               jsonb,
    revision            integer NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL,
    CHECK ((scope = 'global') = (theatre_id IS NULL)),
    CHECK ((scope = 'screen') = (screen_id IS NOT NULL))
);
CREATE UNIQUE INDEX price_list_place ON price_list
    (scope, coalesce(screen_id, theatre_id, '00000000-0000-0000-0000-000000000000'), currency) WHERE scope <> 'showtime';
CREATE INDEX price_list_theatre ON price_list (theatre_id);
