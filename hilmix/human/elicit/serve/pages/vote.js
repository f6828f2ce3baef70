// Vote: one class, and with what confidence.

import { picture } from "./api.js";
import { choice, confidence } from "./controls.js";
import { h } from "./dom.js";

export async function vote({ trial, classes, touch, signal }) {
  const image = await picture(trial.images[0], "The picture to judge", signal);
  const items = trial.class_order.map((number) => ({ value: String(number), text: classes[number] }));
  const label = choice({ name: "label", legend: "Class", items, touch });
  const sure = confidence(touch);
  return {
    picture: h("div", { class: "picture" }, image),
    controls: h("div", {}, label.node, sure.node),
    asked: () => ["label", "confidence"],
    read() {
      const wrong = [];
      if (label.value() === null) wrong.push(label.fail("Choose a class."));
      if (sure.value() === null) wrong.push(sure.fail());
      if (wrong.length) return { wrong: wrong[0] };
      return { answer: { label: Number(label.value()), confidence: sure.value() / 100 } };
    },
  };
}
