// Categorical: the most probable class and the next one, in percent, and the classes that cannot be.

import { picture } from "./api.js";
import { choice, percentInput, ticks } from "./controls.js";
import { h } from "./dom.js";
import { IMPOSSIBLE } from "./words.js";

const NONE = "none";

export async function categorical({ trial, classes, wording, touch, signal }) {
  const image = await picture(trial.images[0], "The picture to judge", signal);
  const items = trial.class_order.map((number) => ({ value: String(number), text: classes[number] }));
  const withNone = [...items, { value: NONE, text: "no second class" }];
  const top = choice({ name: "top", legend: "1. Most probable class", items, touch });
  const topPercent = percentInput({ name: "top_percent", label: "How probable?", touch });
  const second = choice({ name: "second", legend: "2. Second most probable class", items: withNone, touch });
  const secondPercent = percentInput({ name: "second_percent", label: "How probable?", touch });
  const impossible = ticks({
    name: "impossible",
    legend: "3. Impossible classes",
    hint: IMPOSSIBLE[wording],
    items,
    touch,
  });
  const hasSecond = () => second.value() !== null && second.value() !== NONE;

  const controls = h("div", {}, top.node, topPercent.node, second.node, secondPercent.node, impossible.node);
  // No class can be both: what is chosen above cannot be chosen below.
  controls.addEventListener("change", () => {
    second.forbid(top.value());
    impossible.forbid([top.value(), second.value()]);
    secondPercent.disable(second.value() === NONE);
  });

  function problems() {
    const wrong = [];
    if (top.value() === null) wrong.push(top.fail("Choose a class."));
    if (topPercent.value() === null) wrong.push(topPercent.fail());
    if (second.value() === null) wrong.push(second.fail("Choose a class, or that there is no second one."));
    if (second.value() !== NONE && secondPercent.value() === null) wrong.push(secondPercent.fail());
    if (!wrong.length && topPercent.value() + (secondPercent.value() ?? 0) > 100)
      wrong.push(secondPercent.fail("Both percents together are more than 100."));
    return wrong;
  }

  return {
    picture: h("div", { class: "picture" }, image),
    controls,
    asked: () => ["top", "top_percent", "second", ...(hasSecond() ? ["second_percent"] : [])],
    read() {
      const wrong = problems();
      if (wrong.length) return { wrong: wrong[0] };
      return {
        answer: {
          top: Number(top.value()),
          top_percent: topPercent.value(),
          second: hasSecond() ? Number(second.value()) : null,
          second_percent: hasSecond() ? secondPercent.value() : null,
          impossible: impossible.value(),
        },
      };
    },
  };
}
