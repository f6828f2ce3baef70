// Categorical: the most probable class and the next one, in percent, and the classes that cannot be.

import { picture } from "./api.js";
import { choice, percentInput, ticks } from "./controls.js";
import { h } from "./dom.js";
import { say } from "./words.js";

const NONE = "none";

export async function categorical({ trial, classes, wording, touch, signal }) {
  const image = await picture(trial.images[0], say("picture_alt"), signal);
  const items = trial.class_order.map((number) => ({ value: String(number), text: classes[number] }));
  const withNone = [...items, { value: NONE, text: say("no_second") }];
  const top = choice({ name: "top", legend: say("top"), items, touch });
  const topPercent = percentInput({ name: "top_percent", label: say("probable"), touch });
  const second = choice({ name: "second", legend: say("second"), items: withNone, touch });
  const secondPercent = percentInput({ name: "second_percent", label: say("probable"), touch });
  const impossible = ticks({
    name: "impossible",
    legend: say("impossible"),
    hint: say(`impossible.${wording}`),
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
    if (top.value() === null) wrong.push(top.fail(say("choose_class")));
    if (topPercent.value() === null) wrong.push(topPercent.fail());
    if (second.value() === null) wrong.push(second.fail(say("second_missing")));
    if (second.value() !== NONE && secondPercent.value() === null) wrong.push(secondPercent.fail());
    if (!wrong.length && topPercent.value() + (secondPercent.value() ?? 0) > 100)
      wrong.push(secondPercent.fail(say("percent_over")));
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
