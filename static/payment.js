// The money's way: to the provider's page, and back to a page that waits for the provider's word.

import { post } from "./api.js";

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

// What the provider gave whoever comes back from paying, if anything; it is read once.
export function proofOfPaying() {
  const brought = new URLSearchParams(location.search);
  const proof = {
    provider: brought.get("provider"),
    provider_order_id: brought.get("payment_intent") ?? brought.get("razorpay_order_id"),
    provider_payment_id: brought.get("razorpay_payment_id"),
    signature: brought.get("razorpay_signature"),
  };
  if (!proof.provider) return null;
  history.replaceState(history.state, "", location.pathname);
  return Object.fromEntries(Object.entries(proof).filter(([, said]) => said));
}

async function begin(bookingId) {
  return (await post("/payments/orders", { booking_id: bookingId })).checkout_url;
}
