-- The programme is filtered by language and format in any spelling. Without knowing how common each is, the planner
-- reads the whole programme and sorts it instead of walking along the starts until the page is full.

CREATE STATISTICS showtime_language ON lower(language) FROM showtime;
CREATE STATISTICS showtime_format ON lower(format) FROM showtime;
