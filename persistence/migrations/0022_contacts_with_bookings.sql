-- Contacts come with their bookings now. Those that were written down before bookings that never came are forgotten.
DELETE FROM booking_contact c WHERE NOT EXISTS (SELECT FROM booking b WHERE b.booking_id = c.booking_id);
