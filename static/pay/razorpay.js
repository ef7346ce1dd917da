// Razorpay's box over our page. When it is paid, it has a proof, which goes along to the booking.

import { desk, onPay, ready, tell } from "./desk.js";

const { key, order, amount, currency, title, back, missing } = desk.dataset;

if (!window.Razorpay) tell(missing);
else {
  ready();
  onPay(() => new Promise((closed) => {
    const box = new window.Razorpay({
      key, order_id: order, amount, currency, name: "Marquee", description: title,
      handler: (proof) => location.assign(`${back}?${new URLSearchParams({ provider: "razorpay", ...proof })}`),
      modal: { ondismiss: closed },
    });
    box.on("payment.failed", ({ error }) => tell(error.description));
    box.open();
  }));
}
