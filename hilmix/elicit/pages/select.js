// Select: all mixes of a pair at once, in the order that the server drew; choose the one that is half and half.

import { picture } from "./api.js";
import { h } from "./dom.js";

export async function select({ trial, touch, signal }) {
  const images = await Promise.all(trial.images.map((address, i) => picture(address, `Mix ${i + 1}`, signal)));
  const inputs = images.map((_, i) => h("input", { type: "radio", name: "choice", id: `choice-${i}`, value: i }));
  const labels = images.map((image, i) => h("label", { class: "thumbnail" }, inputs[i], image));
  const error = h("p", { class: "error", id: "choice-error", hidden: true });
  const group = h(
    "fieldset",
    { class: "field", role: "radiogroup" },
    h("legend", { class: "unseen" }, `The ${images.length} mixes`),
    h("div", { class: "thumbnails" }, ...labels),
    error,
  );
  group.addEventListener("change", () => {
    error.hidden = true;
    group.removeAttribute("aria-describedby");
    touch("choice");
  });
  return {
    picture: null,
    controls: group,
    asked: () => ["choice"],
    read() {
      const position = inputs.findIndex((input) => input.checked);
      if (position >= 0) return { answer: { weight: trial.weights[position], position } };
      error.textContent = "Choose one of the mixes.";
      error.hidden = false;
      group.setAttribute("aria-describedby", error.id);
      return { wrong: inputs[0] };
    },
  };
}
