// Form controls with their error messages: each has a node, a value, and `fail`, which shows an error and returns the
// element to go to.

import { h, newId, percent } from "./dom.js";
import { say } from "./words.js";

const MANY = 24; // classes; above, a list to pick from replaces radio buttons

/** A line for an error, hidden while there is none, and tied to what it is about. */
export function errorLine(described) {
  const line = h("p", { class: "error", id: newId(), hidden: true });
  return {
    line,
    show(message, target) {
      line.textContent = message;
      line.hidden = false;
      described.setAttribute("aria-describedby", line.id);
      described.setAttribute("aria-invalid", "true");
      return target;
    },
    clear() {
      line.hidden = true;
      described.removeAttribute("aria-describedby");
      described.removeAttribute("aria-invalid");
    },
  };
}

/** A slider from 0 to 100, from left to right in every language, that knows whether it was used; until then it has no value, though it is in the middle. */
export function slider({ name, label, ends, describe, touch, speak = describe }) {
  let touched = false;
  const output = h("output", { for: name, class: "unset" }, say("not_set"));
  const input = h("input", { type: "range", id: name, dir: "ltr", min: 0, max: 100, step: 1, value: 50, class: "unset" });
  const error = errorLine(input);
  const use = () => {
    touched = true;
    output.textContent = describe(input.valueAsNumber);
    input.setAttribute("aria-valuetext", speak(input.valueAsNumber));
    input.style.setProperty("--filled", percent(input.value).replace(" ", ""));
    for (const node of [input, output]) node.classList.remove("unset");
    error.clear();
    touch(name);
  };
  input.setAttribute("aria-valuetext", say("not_set"));
  input.addEventListener("input", use);
  // The middle may be meant: letting go of the thumb there, or pressing Space, sets it without moving it.
  input.addEventListener("pointerup", use);
  input.addEventListener("keydown", (event) => event.key === " " && (event.preventDefault(), use()));
  const spans = ends.map((text) => h("span", { dir: "auto" }, text));
  const scale = h("div", { class: "ends", dir: "ltr", "aria-hidden": "true" }, ...spans);
  const head = h("div", { class: "slider-head" }, h("label", { for: name }, label), output);
  return {
    node: h("div", { class: "field" }, head, input, scale, error.line),
    value: () => (touched ? input.valueAsNumber : null),
    fail: () => error.show(say("slider_missing"), input),
  };
}

/** The participant's confidence. */
export const confidence = (touch) =>
  slider({
    name: "confidence",
    label: say("confidence_label"),
    ends: [say("guess"), say("certain")],
    describe: percent,
    touch,
  });

/** One of several: radio buttons, or a list where there are too many. `items` are {value, text} in order. */
export function choice({ name, legend, items, touch, hint = null }) {
  return (items.length > MANY ? listChoice : radioChoice)({ name, legend, items, touch, hint });
}

function radioChoice({ name, legend, items, touch, hint }) {
  const inputs = items.map(({ value }) => h("input", { type: "radio", name, id: `${name}-${value}`, value }));
  const labels = items.map(({ text }, i) => h("label", { class: "option" }, inputs[i], h("span", {}, text)));
  const group = h("fieldset", { class: "field", role: "radiogroup" }, h("legend", {}, legend));
  const error = errorLine(group);
  if (hint) group.append(h("p", { class: "hint" }, hint));
  group.append(h("div", { class: "options" }, ...labels), error.line);
  group.addEventListener("change", () => (error.clear(), touch(name)));
  return {
    node: group,
    value: () => inputs.find((input) => input.checked)?.value ?? null,
    set: (value) => inputs.forEach((input) => (input.checked = input.value === String(value))),
    forbid: (value) => forbid(inputs, value),
    fail: (message) =>
      error.show(
        message,
        inputs.find((input) => !input.disabled),
      ),
  };
}

function forbid(inputs, value) {
  for (const input of inputs) {
    input.disabled = input.value === value;
    if (input.disabled) input.checked = false;
  }
}

function listChoice({ name, legend, items, touch, hint }) {
  const options = items.map(({ value, text }) => h("option", { value }, text));
  const list = h("select", { id: name }, h("option", { value: "" }, say("choose")), ...options);
  const error = errorLine(list);
  list.addEventListener("change", () => (error.clear(), touch(name)));
  const label = h("label", { for: name, class: "legend" }, legend);
  return {
    node: h("div", { class: "field" }, label, hint ? h("p", { class: "hint" }, hint) : null, list, error.line),
    value: () => list.value || null,
    set: (value) => (list.value = value ?? ""),
    forbid(value) {
      for (const option of options) option.disabled = option.value === value;
      if (value !== null && list.value === value) list.value = "";
    },
    fail: (message) => error.show(message, list),
  };
}

/** Any number of several: tick boxes. */
export function ticks({ name, legend, hint, items, touch }) {
  const inputs = items.map(({ value }) => h("input", { type: "checkbox", id: `${name}-${value}`, value }));
  const labels = items.map(({ text }, i) => h("label", { class: "option" }, inputs[i], h("span", {}, text)));
  const group = h(
    "fieldset",
    { class: "field", onchange: () => touch(name) },
    h("legend", {}, legend),
    h("p", { class: "hint" }, hint),
    h("div", { class: "options" }, ...labels),
  );
  return {
    node: group,
    value: () => inputs.filter((input) => input.checked).map((input) => Number(input.value)),
    forbid(values) {
      for (const input of inputs) {
        input.disabled = values.includes(input.value);
        if (input.disabled) input.checked = false;
      }
    },
  };
}

/** A typed percent: digits, at most two of them behind a point or comma; 0 to 100. */
export function percentInput({ name, label, touch }) {
  const input = h("input", {
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    id: name,
    maxlength: 6,
    size: 5,
  });
  const error = errorLine(input);
  input.addEventListener("input", () => (error.clear(), touch(name)));
  const row = h("div", { class: "percent" }, h("label", { for: name }, label), h("span", {}, input, " %"));
  return {
    node: h("div", { class: "field" }, row, error.line),
    value() {
      const text = input.value.trim().replace(",", ".");
      const number = /^\d{1,3}(\.\d{1,2})?$/.test(text) ? Number(text) : NaN;
      return number <= 100 ? number : null;
    },
    disable(off) {
      input.disabled = off;
      if (off) {
        input.value = "";
        error.clear();
      }
    },
    fail: (message = say("percent_missing")) => error.show(message, input),
  };
}

/** A statement that must be ticked. `content` is inline HTML from the server. */
export function statement(name, content) {
  const input = h("input", { type: "checkbox", id: name, required: true });
  const text = h("span");
  text.innerHTML = content;
  const error = errorLine(input);
  input.addEventListener("change", () => error.clear());
  return {
    node: h("div", { class: "field" }, h("label", { class: "option wide" }, input, text), error.line),
    value: () => input.checked,
    fail: () => error.show(say("consent_missing"), input),
  };
}
