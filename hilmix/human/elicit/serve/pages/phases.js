// The pages around the trials. Each returns {title, node}; `send(step)` runs a step and shows the next state.

import { post } from "./api.js";
import { choice, statement } from "./controls.js";
import { announce, enlarge, h, prose, submitButton } from "./dom.js";
import { keep, load, root } from "./kept.js";
import { say } from "./words.js";

const field = (label, control) =>
  h("div", { class: "field" }, h("label", { for: control.id, class: "legend" }, label), control);

/** A form whose controls must all be valid before `step` runs. `read` returns a body, or the invalid controls, marked. */
function form(children, button, read, step) {
  const node = h("form", { novalidate: true }, ...children, h("div", { class: "actions" }, submitButton(button)));
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    const result = read();
    if (result.wrong?.length) {
      announce(say("missing"));
      result.wrong[0].focus();
    } else step(result.body);
  });
  return node;
}

export function consent({ study }, send) {
  const boxes = study.statements.map((content, i) => statement(`statement-${i}`, content));
  const read = () => ({
    wrong: boxes.filter((box) => !box.value()).map((box) => box.fail()),
    body: { accepted: true },
  });
  const group = h("fieldset", {}, h("legend", {}, say("agreement")), ...boxes.map((box) => box.node));
  const leave = h("p", { class: "hint" }, say("consent_leave"));
  return {
    title: say("consent_title"),
    node: h(
      "div",
      {},
      facts(study),
      prose(study.consent),
      form([group, leave], say("consent_go"), read, (body) => send(() => post("consent", body))),
    ),
  };
}

export function instructions({ study, attempts_left: left }, send) {
  const read = () => ({ body: { read: true } });
  const go = form([], say("instructions_go"), read, (body) => send(() => post("instructions", body)));
  const message = left && say("instructions_again", { left });
  return { title: say("instructions_title"), node: h("div", {}, prose(study.instructions), example(study), go), message };
}

export function check({ study, check: questions, attempts_left: left }, send) {
  const groups = questions.map(({ question, choices }, i) =>
    choice({
      name: `question-${i}`,
      legend: question,
      items: choices.map((text, value) => ({ value: String(value), text })),
      touch: () => {},
    }),
  );
  const read = () => ({
    wrong: groups.filter((group) => group.value() === null).map((group) => group.fail(say("check_missing"))),
    body: { answers: groups.map((group) => Number(group.value())) },
  });
  const intro = h("p", {}, say("check_intro", { left }));
  const page = form(
    groups.map((group) => group.node),
    say("check_go"),
    read,
    (body) => send(() => post("check", body)),
  );
  page.classList.add("lists");
  return { title: say("check_title"), node: h("div", {}, intro, page, help(study.instructions)) };
}

const big = ({ target }) => enlarge(target);

/** Duration, pay and contact, where the study names them. */
function facts({ minutes, pay, contact }) {
  const rows = [
    ["facts_minutes", minutes && say("facts_about", { minutes })],
    ["facts_pay", pay],
    ["facts_contact", contact],
  ].filter(([, text]) => text);
  if (!rows.length) return null;
  const cells = rows.flatMap(([key, text]) => [h("dt", {}, say(key)), h("dd", { dir: "auto" }, text)]);
  return h("dl", { class: "facts", "aria-label": say("facts") }, ...cells);
}

/** A picture with a worked answer. */
function example({ example: one }) {
  if (!one) return null;
  const image = h("img", { src: root + one.image, alt: say("mix_alt"), onload: big });
  return h(
    "section",
    { class: "example", "aria-labelledby": "example" },
    h("h2", { id: "example" }, say("example")),
    h("figure", {}, image, h("figcaption", {}, prose(one.text))),
  );
}

/** The instructions, folded away; their headings are no longer those of the page. */
export function help(html) {
  const text = prose(html);
  for (const heading of text.querySelectorAll("h1")) heading.replaceWith(h("h2", {}, ...heading.childNodes));
  return h("details", { class: "help" }, h("summary", {}, say("help")), text);
}

/** After a practice answer: what the picture was. */
export function feedback({ feedback: { image, text } }, go) {
  const shown = h("div", { class: "picture" }, h("img", { src: root + image, alt: say("picture_alt"), onload: big }));
  return {
    title: say("feedback_title"),
    node: h("div", {}, shown, h("p", {}, text), h("p", { class: "hint" }, say("feedback_note")), form([], say("continue"), () => ({}), go)),
  };
}

/** Before the first practice trial and before the first that counts. */
export function ahead({ phase, progress: { total } }, go) {
  const practice = phase === "practice";
  const title = say(practice ? "practice_title" : "count_title");
  const text = say(practice ? "practice_text" : "count_text", { total });
  return {
    title,
    node: h(
      "div",
      {},
      h("p", {}, text),
      form([], say("start"), () => ({}), go),
    ),
  };
}

export function survey(_, send) {
  const scale = (name, legend, hint) =>
    choice({
      name,
      legend,
      hint,
      items: Array.from({ length: 10 }, (_, i) => ({ value: String(i + 1), text: String(i + 1) })),
      touch: () => {},
    });
  const clarity = scale("clarity", say("clarity"), say("clarity_hint"));
  const difficulty = scale("difficulty", say("difficulty"), say("difficulty_hint"));
  const strategy = h("textarea", { id: "strategy", rows: 3, maxlength: 5000 });
  const comments = h("textarea", { id: "comments", rows: 3, maxlength: 5000 });
  const score = (group) => (group.value() === null ? null : Number(group.value()));
  const read = () => ({
    body: {
      clarity: score(clarity),
      difficulty: score(difficulty),
      strategy: strategy.value,
      comments: comments.value,
    },
  });
  const fields = [
    h("p", {}, say("survey_intro")),
    clarity.node,
    difficulty.node,
    field(say("strategy"), strategy),
    field(say("comments"), comments),
  ];
  const page = form(fields, say("finish"), read, (body) => send(() => post("survey", body)));
  page.classList.add("scales");
  // Kept until it is sent: a reload, or a phone that closes the page behind another, must not take what was written.
  const draft = load("survey");
  if (draft) {
    clarity.set(draft.clarity);
    difficulty.set(draft.difficulty);
    strategy.value = draft.strategy;
    comments.value = draft.comments;
  }
  page.addEventListener("input", () => keep("survey", read().body));
  return { title: say("survey_title"), node: h("div", {}, page) };
}

export function done({ study, completion_code: code, completion_url: address }) {
  const back = address && h("p", { class: "actions" }, h("a", { class: "button", href: address }, say("redirect")));
  return { title: say("done_title"), node: h("div", {}, prose(study.thanks), code && codeBox(code), back) };
}

function codeBox(code) {
  const shown = h("output", { "aria-labelledby": "code-label", dir: "ltr" }, code);
  const copy = h("button", { type: "button", class: "second", onclick: () => copyText(shown, copy) }, say("copy"));
  return h("div", { class: "code" }, h("p", { id: "code-label" }, say("code")), h("p", {}, shown), copy);
}

/** Without TLS there is no navigator.clipboard; the selected text is copied the old way. */
async function copyText(shown, button) {
  getSelection().selectAllChildren(shown);
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(shown.textContent);
    else if (!document.execCommand("copy")) return;
  } catch {
    return; // refused: the code stays selected, to be copied by hand
  }
  button.textContent = say("copied");
  announce(say("copied"));
}

export const failedCheck = () => plain(say("failed_title"), say("failed_text"));

export const withdrawn = () =>
  plain(say("withdrawn_title"), say("withdrawn_text"));

export const full = (_, send) =>
  plain(say("full_title"), say("full_text"), say("full_again"), () => send(() => post("batch", { wanted: true }), stillFull));

const stillFull = (next) => (next.phase === "full" ? say("full_still") : null);

export const expired = (_, send) =>
  plain(say("expired_title"), say("expired_text"), say("expired_go"), () =>
    send(() => post("batch", { wanted: true })),
  );

export const unknown = () => plain(say("unknown_title"), say("unknown_text"));

function plain(title, text, button = null, step = null) {
  const node = h("div", {}, h("p", {}, text), button ? form([], button, () => ({}), step) : null);
  return { title, node };
}
