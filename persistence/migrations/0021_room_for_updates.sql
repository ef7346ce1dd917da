-- A row that changes stays in its page, and no index hears of it, as long as the page has room and nothing indexed changes.
-- Bookings and their seats change once, when they are paid; showtimes and the day's sales with every sale.

ALTER TABLE booking SET (fillfactor = 50);
ALTER TABLE booking_seat SET (fillfactor = 50);
ALTER TABLE showtime SET (fillfactor = 50);
ALTER TABLE daily_sales SET (fillfactor = 50);
ALTER TABLE sandbox_order SET (fillfactor = 50);
DROP INDEX booking_seat_ticket; -- nobody asks for a ticket without its booking, and it gets its id with the payment
