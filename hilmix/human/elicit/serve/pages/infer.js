// Infer: how much of each of two classes is in a mix, and with what confidence.

import { picture } from "./api.js";
import { confidence, slider } from "./controls.js";
import { h, percent } from "./dom.js";

export async function infer({ trial, names, touch, signal }) {
  const [one, two] = names;
  const image = await picture(trial.images[0], "The picture to judge", signal);
  // As in H-Mix: all image 1 at the left, all image 2 at the right.
  const mix = slider({
    name: "mix",
    label: "How much of each?",
    ends: [`100 % ${one}`, "half and half", `100 % ${two}`],
    describe: (right) => `${percent(100 - right)} ${one}, ${percent(right)} ${two}`,
    touch,
  });
  const sure = confidence(touch);
  return {
    picture: h("div", { class: "picture" }, image),
    controls: h("div", {}, mix.node, sure.node),
    asked: () => ["mix", "confidence"],
    read() {
      const wrong = [mix, sure].filter((control) => control.value() === null).map((control) => control.fail());
      if (wrong.length) return { wrong: wrong[0] };
      return { answer: { weight: (100 - mix.value()) / 100, confidence: sure.value() / 100 } };
    },
  };
}
