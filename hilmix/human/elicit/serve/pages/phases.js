// The pages around the trials. Each returns {title, node}; `send(step)` runs a step and shows the next state.

import { post } from "./api.js";
import { choice, statement } from "./controls.js";
import { announce, h, help, prose, submitButton } from "./dom.js";
import { keep, load } from "./kept.js";

const FAILED = `The questions about the instructions were not all answered rightly, and no attempt is left. Thank you
  for your interest. You may close this page.`;
const FULL = `At the moment other participants are at work on all pictures that are left. Some may become free later: keep
  this link, and try again in a while.`;
const EXPIRED = `You were away for so long that your pictures went to other participants. What you answered is stored. If you
  like, go on with new pictures.`;

const field = (label, control) =>
  h("div", { class: "field" }, h("label", { for: control.id, class: "legend" }, label), control);

/** A form whose controls must all be valid before `step` runs. `read` returns a body, or the invalid controls, marked. */
function form(children, button, read, step) {
  const node = h("form", { novalidate: true }, ...children, h("div", { class: "actions" }, submitButton(button)));
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    const result = read();
    if (result.wrong?.length) {
      announce("Something is missing. Look at what is marked.");
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
  const group = h("fieldset", {}, h("legend", {}, "Your agreement"), ...boxes.map((box) => box.node));
  const leave = h("p", { class: "hint" }, "If you do not agree, close this page.");
  return {
    title: "Consent",
    node: h(
      "div",
      {},
      prose(study.consent),
      form([group, leave], "I agree, go on", read, (body) => send(() => post("consent", body))),
    ),
  };
}

export function instructions({ study, attempts_left: left }, send) {
  const read = () => ({ body: { read: true } });
  const go = form([], "I have read this, go on", read, (body) => send(() => post("instructions", body)));
  const message = left && `Not every answer was right. Please read the instructions once more. ${attempts(left)}`;
  return { title: "Instructions", node: h("div", {}, prose(study.instructions), go), message };
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
    wrong: groups.filter((group) => group.value() === null).map((group) => group.fail("Choose an answer.")),
    body: { answers: groups.map((group) => Number(group.value())) },
  });
  const intro = h("p", {}, `A few questions, to see that the instructions are clear. ${attempts(left)}`);
  const page = form(
    groups.map((group) => group.node),
    "Check my answers",
    read,
    (body) => send(() => post("check", body)),
  );
  page.classList.add("lists");
  return { title: "Is everything clear?", node: h("div", {}, intro, page, help(study.instructions)) };
}

const attempts = (left) => (left === 1 ? "You have one attempt left." : `You have ${left} attempts left.`);

/** Before the first practice trial and before the first that counts. */
export function ahead({ phase, progress: { total } }, go) {
  const practice = phase === "practice";
  const some = total === 1 ? "1 picture" : `${total} pictures`;
  const title = practice ? "First, some practice" : "Now it counts";
  const text = practice
    ? `You start with ${some} to get used to the task. What you answer there does not count.`
    : `From here on your answers count. ${some} to go. What you send cannot be changed later.`;
  return {
    title,
    node: h(
      "div",
      {},
      h("p", {}, text),
      form([], "Start", () => ({}), go),
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
  const clarity = scale("clarity", "How clear were the instructions?", "1: not clear at all, 10: very clear");
  const difficulty = scale("difficulty", "How difficult was the task?", "1: very easy, 10: very difficult");
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
    h("p", {}, "All pictures are done. A few last questions; you may leave any of them out."),
    clarity.node,
    difficulty.node,
    field("How did you decide?", strategy),
    field("Anything else?", comments),
  ];
  const page = form(fields, "Finish", read, (body) => send(() => post("survey", body)));
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
  return { title: "Last questions", node: h("div", {}, page) };
}

export function done({ study, completion_code: code }) {
  const box =
    code &&
    h(
      "div",
      { class: "code" },
      h("p", { id: "code-label" }, "Your completion code"),
      h("p", {}, h("output", { "aria-labelledby": "code-label" }, code)),
    );
  return { title: "Thank you", node: h("div", {}, prose(study.thanks), box || null) };
}

export const failedCheck = () => plain("The study ends here", FAILED);

export const withdrawn = () =>
  plain("You have withdrawn", "All your answers have been deleted. You may close this page.");

export const full = (_, send) =>
  plain("No pictures are free", FULL, "Try again", () => send(() => post("batch", { wanted: true }), stillFull));

const stillFull = (next) => (next.phase === "full" ? "There are still none." : null);

export const expired = (_, send) =>
  plain("Your time for these pictures is over", EXPIRED, "Go on with new pictures", () =>
    send(() => post("batch", { wanted: true })),
  );

export const unknown = (message) => plain("Unknown link", message);

function plain(title, text, button = null, step = null) {
  const node = h("div", {}, h("p", {}, text), button ? form([], button, () => ({}), step) : null);
  return { title, node };
}
