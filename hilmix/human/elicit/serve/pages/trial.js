// A trial: the picture, the controls of its task, and what is noted beside the answer.

import { newKey } from "./api.js";
import { categorical } from "./categorical.js";
import { construct } from "./construct.js";
import { announce, enlarge, h, submitButton } from "./dom.js";
import { infer } from "./infer.js";
import { help } from "./phases.js";
import { select } from "./select.js";
import { vote } from "./vote.js";
import { question, say } from "./words.js";

const TASKS = { construct, select, infer, categorical, vote };
const REST = 300; // milliseconds in which a new picture takes no answer: a double click was meant for the last

/** Notes, in seconds since the picture was shown, when each control was first and last used. */
class Watch {
  constructor() {
    this.shown = null;
    this.first = {};
    this.last = {};
    this.touch = (control) => {
      const now = this.seconds();
      this.first[control] ??= now;
      this.last[control] = now;
    };
  }

  start() {
    this.shown = performance.now();
  }

  seconds() {
    return this.shown === null ? 0 : Math.round(performance.now() - this.shown) / 1000;
  }

  /** A control that the answer needs is recorded also when unused; an optional one only if used. */
  record(asked) {
    const used = Object.keys(this.last);
    const touched = Object.fromEntries([...asked, ...used].map((control) => [control, used.includes(control)]));
    const first = Object.entries(this.first).map(([control, at]) => [`${control}_first`, at]);
    return { seconds: this.seconds(), touched, times: { ...this.last, ...Object.fromEntries(first) } };
  }
}

/** Builds the page of a trial once its pictures are there. `send(body)` is called with each complete answer. */
export async function trialPage(state, send, signal) {
  const { trial, task, study } = state;
  const watch = new Watch();
  const names = trial.labels?.map((label) => study.classes[label]) ?? null;
  const parts = { trial, names, classes: study.classes, wording: study.wording, touch: watch.touch, signal };
  const made = await TASKS[task](parts);
  const next = submitButton(say("continue"));
  const form = h("form", { class: "answer", novalidate: true }, made.controls, h("div", { class: "actions" }, next));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (watch.shown === null || performance.now() - watch.shown < REST) return;
    const result = made.read();
    if (result.wrong) {
      announce(say("incomplete"));
      result.wrong.focus();
      return;
    }
    const { seconds, touched, times } = watch.record(made.asked());
    send({ key: newKey(), trial: trial.id, answer: { task, ...result.answer }, seconds, touched, times });
  });
  const asked = h("p", { class: "question", id: "question" }, question(task, study.wording, names));
  const look = made.picture ? h("div", { class: "look" }, made.picture) : null;
  const node = h("div", { class: `trial ${task}` }, asked, look, form, help(study.instructions));
  node.querySelectorAll("img").forEach(enlarge);
  return { node, shown: () => watch.start() };
}
