// Infer: how much of each of two classes is in a mix, and with what confidence.

import { picture } from "./api.js";
import { confidence, slider } from "./controls.js";
import { h, percent } from "./dom.js";
import { say } from "./words.js";

export async function infer({ trial, names, touch, signal }) {
  const [one, two] = names;
  const image = await picture(trial.images[0], say("picture_alt"), signal);
  // As in H-Mix: all image 1 at the left, all image 2 at the right.
  const mix = slider({
    name: "mix",
    label: say("infer_label"),
    ends: [`100 % ${one}`, say("half"), `100 % ${two}`],
    // Isolated from left to right, or a right-to-left page would swap the shares. Percents alone: with long names the line would grow, and the slider jump away under the first touch.
    describe: (right) => `\u2066${percent(100 - right)} – ${percent(right)}\u2069`,
    speak: (right) => say("share", { one, two, one_percent: 100 - right, two_percent: right }),
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
