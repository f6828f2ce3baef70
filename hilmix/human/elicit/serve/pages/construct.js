// Construct: step through the mixes of a pair, from all image 2 to all image 1, and stop at half and half.

import { picture } from "./api.js";
import { announce, h } from "./dom.js";
import { say } from "./words.js";

export async function construct({ trial, names, touch, signal }) {
  const [one, two] = names;
  const images = await Promise.all(trial.images.map((address) => picture(address, say("mix_alt"), signal)));
  let at = trial.weights.indexOf(trial.start);
  const frame = h("div", { class: "picture" }, ...images);
  const less = h("button", { type: "button", class: "second", onclick: () => step(-1) }, say("less", { one }));
  const more = h("button", { type: "button", class: "second", onclick: () => step(1) }, say("more", { one }));
  const end = h("p", { class: "hint", "aria-live": "polite" });
  const show = () => images.forEach((image, i) => (image.hidden = i !== at));

  function step(by) {
    const next = at + by;
    touch("step");
    if (next < 0 || next >= images.length) {
      end.textContent = say("end", { one: by < 0 ? two : one });
      return;
    }
    at = next;
    end.textContent = "";
    announce(say("stepped", by < 0 ? { one: two, two: one } : { one, two }));
    show();
  }

  const keys = { ArrowLeft: -1, g: -1, ArrowRight: 1, h: 1 };
  const press = (event) => {
    const elsewhere = event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]");
    const by = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (by === undefined || elsewhere) return;
    event.preventDefault();
    step(by);
  };
  document.addEventListener("keydown", press, { signal });
  show();
  const hint = h("p", { class: "hint keys" }, say("keys"));
  return {
    picture: frame,
    controls: h("div", { class: "field" }, h("div", { class: "stepper" }, less, more), end, hint),
    asked: () => ["step"],
    read: () => ({ answer: { weight: trial.weights[at] } }),
  };
}
