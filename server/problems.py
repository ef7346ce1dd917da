"""Every problem of the house: its code, its status, and what it means, in one table.

What an actor refuses is said by `wire.REFUSALS` and joins here. The OpenAPI document and the page of problems are made
from this table, and a test holds each `Problem` in the code to it.
"""

from collections.abc import Mapping
from typing import Final

from server.wire import REFUSALS

STOPPED: Final = ("showtime_cancelled", "showtime_over", "sales_not_open", "sales_closed")
"""Why nothing of a showtime can be had."""

TAKING: Final = (
    "seats_unavailable",
    "no_block",
    "orphan_seat",
    "hold_limit",
    "no_seats",
    "unknown_seat",
    "duplicate_seat",
    "unknown_ticket_type",
    "unknown_category",
    "unknown_row",
)
"""Why some seats cannot be had."""

_OTHERS: Final = {
    # The request
    "malformed_request": (400, "The request is not well-formed HTTP."),
    "malformed_json": (400, "The body is no JSON, or JSON with NaN, NUL, lone surrogates, a key twice, or 65 levels."),
    "idempotency_key_required": (400, "This request needs an Idempotency-Key header."),
    "idempotency_key_invalid": (400, "An Idempotency-Key is 1 to 255 printable ASCII characters."),
    "idempotency_in_progress": (409, "The first request with this key is still being answered."),
    "not_found": (404, "There is nothing at this address."),
    "file_not_found": (404, "There is no such file."),
    "method_not_allowed": (405, "This address does not know this method; the Allow header names those it knows."),
    "request_timeout": (408, "The body took too long to arrive."),
    "precondition_failed": (412, "Somebody has changed this since you read it. Read it again."),
    "body_too_large": (413, "The body is larger than allowed."),
    "unsupported_media_type": (415, "The body has a type that is not read here."),
    "validation_failed": (422, "Some fields are wrong; `errors` names each with its path and what is expected."),
    "upgrade_required": (426, "This address speaks WebSocket."),
    "rate_limited": (429, "Too many requests. Wait as long as Retry-After says."),
    "internal_error": (500, "Something went wrong on our side. It has been noted."),
    "not_ready": (503, "The process cannot work now: its database or its log is away, or it is stopping."),
    "busy": (503, "The server cannot do this right now. Wait as long as Retry-After says, and try again."),
    "draining": (503, "The server is restarting. Try again in a moment."),
    # Who asks
    "auth_required": (401, "Sign in first; or this token is not valid here."),
    "token_expired": (401, "Exchange the refresh token for a new pair."),
    "token_revoked": (401, "You have been signed out."),
    "forbidden": (403, "Your account may not do this."),
    "out_of_scope": (403, "This theatre is not one of yours."),
    "invalid_credentials": (401, "E-mail address and password do not match."),
    "login_throttled": (429, "Too many attempts to sign in. Wait as long as Retry-After says."),
    "refresh_invalid": (401, "This refresh token is not valid. Sign in again."),
    "refresh_expired": (401, "This refresh token is too old. Sign in again."),
    "refresh_reused": (401, "This refresh token was used before. All tokens of its session have ended."),
    "email_taken": (409, "There is already an account with this e-mail address."),
    "phone_taken": (409, "This telephone number belongs to another account."),
    "weak_password": (422, "This password is too short, too common, or too much like the address."),
    "wrong_password": (400, "This is not the present password."),
    "same_password": (422, "The new password is the old one."),
    "token_invalid": (400, "This link has been used, has expired, or was never valid."),
    "otp_invalid": (401, "This code is wrong, has been used, or has expired."),
    "otp_throttled": (429, "Too many wrong codes. Ask for a new one."),
    "session_not_found": (404, "There is no such session."),
    "upcoming_bookings": (409, "There are bookings for showtimes to come. Cancel them first."),
    "last_admin": (409, "Somebody must remain an administrator."),
    # What there is
    "showtime_not_found": (404, "There is no such showtime."),
    "movie_not_found": (404, "There is no such movie."),
    "theatre_not_found": (404, "There is no such theatre."),
    "screen_not_found": (404, "There is no such screen."),
    "layout_not_found": (404, "There is no such layout."),
    "cancellation_not_found": (404, "This showtime has not been cancelled."),
    "payment_not_found": (404, "There is no such payment."),
    "seq_too_old": (410, "These events are not to be had any more. Take a new snapshot."),
    "application_not_found": (404, "There is no such application."),
    "category_not_found": (404, "There is no such category."),
    "price_list_not_found": (404, "There is no such price list."),
    "promo_code_not_found": (404, "There is no such promotion code."),
    "webhook_not_found": (404, "There is no such webhook."),
    "delivery_not_found": (404, "There is no such delivery."),
    "job_not_found": (404, "There is no such job."),
    "upload_not_found": (404, "There is no such upload."),
    "notification_not_found": (404, "There is no such notification."),
    "user_not_found": (404, "There is no such user."),
    # Running the house
    "already_decided": (409, "Somebody has already decided this."),
    "ambiguous_local_time": (422, "The clocks are turned back and this local time happens twice. Give its offset."),
    "category_unpriced": (422, "A category of the layout has no price."),
    "format_mismatch": (422, "The film or the screen does not have this format."),
    "has_sales": (409, "Tickets have been sold. It can be cancelled or archived, not deleted or moved without notice."),
    "has_showtimes": (409, "There are showtimes here."),
    "illegal_transition": (409, "A booking that is so cannot become that; `allowed` names what it can."),
    "in_use": (409, "Something else still refers to this."),
    "in_past": (422, "A showtime cannot begin in the past."),
    "job_not_waiting": (409, "This job runs, is done or was dropped; `state` says which."),
    "language_mismatch": (422, "The film is not shown in this language."),
    "layout_in_use": (409, "A showtime or screen uses this layout."),
    "movie_exists": (409, "There is already a film with this title in these languages."),
    "movie_not_published": (409, "The film is not published."),
    "name_taken": (409, "There is already one with this name."),
    "nonexistent_local_time": (422, "The clocks are turned forward and this local time does not happen."),
    "overlap": (409, "Another showtime is on this screen at that time; `showtime_id` names it."),
    "code_taken": (409, "There is already a promotion with this code."),
    "scope_taken": (409, "There is already a price list for this place."),
    "too_short": (422, "The film takes longer than that."),
    "webhook_limit": (409, "This place has as many webhooks as it can have."),
    "webhook_inactive": (409, "This webhook is switched off."),
    # Buying
    "contact_required": (422, "A booking without an account needs a contact with an e-mail address."),
    "promo_invalid": (422, "This promotion code is not valid here."),
    "payment_not_captured": (402, "The provider has not received this payment."),
    "not_confirmed": (409, "This is for confirmed bookings."),
    "payment_mismatch": (409, "This payment does not belong to this booking."),
    "already_paid": (409, "This booking is already paid. The second payment goes back."),
    "provider_refused": (409, "The payment provider does not take this payment."),
    "provider_unavailable": (503, "The payment provider does not answer. Wait as long as Retry-After says."),
    "bad_signature": (400, "The provider did not sign this."),
}

PROBLEMS: Final[Mapping[str, tuple[int, str]]] = {
    **_OTHERS,
    **{refusal.value: told for refusal, told in REFUSALS.items()},
}
