// The desk at which a provider's own script takes the money: what it has to know, when it is ready, what went wrong.

export const desk = document.getElementById("desk");
const button = desk.querySelector("button");
const status = desk.querySelector("[role=status]");
const trouble = desk.querySelector("[role=alert]");

export function ready() {
  status.hidden = true;
  button.disabled = false;
}

export function tell(words) {
  status.hidden = true;
  trouble.hidden = false;
  trouble.textContent = words;
}

// `work` leads away from here, or ends when the customer may try again.
export function onPay(work) {
  desk.addEventListener("submit", async (event) => {
    event.preventDefault();
    trouble.hidden = true;
    button.disabled = true;
    await work().finally(() => { button.disabled = false; });
  });
}
