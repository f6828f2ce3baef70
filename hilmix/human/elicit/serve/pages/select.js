// Select: all mixes of a pair at once, in the order that the server drew; choose the one that is half and half.

import { picture } from "./api.js";
import { errorLine } from "./controls.js";
import { h } from "./dom.js";
import { say } from "./words.js";

export async function select({ trial, touch, signal }) {
  const images = await Promise.all(trial.images.map((address, i) => picture(address, say("mix_number", { number: i + 1 }), signal)));
  const inputs = images.map((_, i) => h("input", { type: "radio", name: "choice", id: `choice-${i}`, value: i }));
  const labels = images.map((image, i) => h("label", { class: "thumbnail" }, inputs[i], image));
  const legend = h("legend", { class: "unseen" }, say("mixes", { number: images.length }));
  const group = h(
    "fieldset",
    { class: "field", role: "radiogroup" },
    legend,
    h("div", { class: "thumbnails" }, ...labels),
  );
  const error = errorLine(group);
  group.append(error.line);
  group.addEventListener("change", () => (error.clear(), touch("choice")));
  return {
    picture: null,
    controls: group,
    asked: () => ["choice"],
    read() {
      const position = inputs.findIndex((input) => input.checked);
      if (position >= 0) return { answer: { weight: trial.weights[position], position } };
      return { wrong: error.show(say("choose_mix"), inputs[0]) };
    },
  };
}
