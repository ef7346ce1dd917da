// The money's way: to the provider's page, and back to a page that waits for the provider's word.

import { post, ProblemError } from "./api.js";

const place = (bookingId) => `marquee.checkout.${bookingId}`;

// Leads away to the provider's page: the one that was begun in this window, or a new one.
export async function pay(bookingId, { anew = false } = {}) {
  const begun = anew ? null : sessionStorage.getItem(place(bookingId));
  const url = begun ?? await begin(bookingId);
  sessionStorage.setItem(place(bookingId), url);
  location.assign(url);
  await new Promise(() => {}); // the page is being left; nothing here can be pressed again
}

// Whether somebody comes from paying this booking, in this window; it is told once.
export function comesFromPaying(bookingId) {
  const begun = sessionStorage.getItem(place(bookingId)) !== null;
  sessionStorage.removeItem(place(bookingId));
  return begun;
}

// Where the provider has no page of its own, its script would be needed, and this site runs nobody else's scripts.
async function begin(bookingId) {
  const { checkout_url, provider } = await post("/payments/orders", { booking_id: bookingId });
  if (!checkout_url) throw new ProblemError(0, { code: "no_checkout", provider });
  return checkout_url;
}
