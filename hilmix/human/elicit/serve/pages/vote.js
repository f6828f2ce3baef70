// Vote: one class, and with what confidence. In a review the label and the suggestion come first.

import { picture } from "./api.js";
import { choice, confidence } from "./controls.js";
import { h } from "./dom.js";
import { say } from "./words.js";

const OTHER = "other";
const UNSURE = "unsure";

export async function vote({ trial, classes, touch, signal }) {
  const image = await picture(trial.images[0], say("picture_alt"), signal);
  const items = trial.class_order.map((number) => ({ value: String(number), text: classes[number] }));
  const label = trial.given === null ? plain(items, touch) : review(trial, classes, items, touch);
  const sure = confidence(touch);
  return {
    picture: h("div", { class: "picture" }, image),
    controls: h("div", {}, label.node, sure.node),
    asked: () => ["label", "confidence"],
    read() {
      const wrong = label.problems();
      if (sure.value() === null) wrong.push(sure.fail());
      if (wrong.length) return { wrong: wrong[0] };
      return { answer: { label: label.value(), confidence: sure.value() / 100 } };
    },
  };
}

function plain(items, touch) {
  const label = choice({ name: "label", legend: say("class"), items, touch });
  return {
    node: label.node,
    value: () => Number(label.value()),
    problems: () => (label.value() === null ? [label.fail(say("choose_class"))] : []),
  };
}

/** The label now, the suggestion, any other class, or none: null. */
function review({ given, suggested }, classes, items, touch) {
  const shown = [...new Set([given, suggested])];
  const first = shown.map((number) => ({
    value: String(number),
    text: say(number === given ? "review_given" : "review_suggested", { label: classes[number] }),
  }));
  const rest = items.filter(({ value }) => !shown.includes(Number(value)));
  const more = rest.length ? [{ value: OTHER, text: say("review_other") }] : [];
  const all = [...first, ...more, { value: UNSURE, text: say("review_unsure") }];
  const verdict = choice({ name: "label", legend: say("class"), items: all, touch });
  const other = choice({ name: "other", legend: say("review_which"), items: rest, touch });
  other.node.hidden = true;
  verdict.node.classList.add("lists");
  verdict.node.addEventListener("change", () => (other.node.hidden = verdict.value() !== OTHER));
  return {
    node: h("div", {}, verdict.node, other.node),
    value() {
      if (verdict.value() === UNSURE) return null;
      return Number(verdict.value() === OTHER ? other.value() : verdict.value());
    },
    problems() {
      if (verdict.value() === null) return [verdict.fail(say("choose_class"))];
      return verdict.value() === OTHER && other.value() === null ? [other.fail(say("choose_class"))] : [];
    },
  };
}
