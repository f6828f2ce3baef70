// Shows the state that the server reports, and runs one step at a time.

import * as api from "./api.js";
import { announce, h } from "./dom.js";
import { drop, root } from "./kept.js";
import * as phases from "./phases.js";
import { trialPage } from "./trial.js";
import { say } from "./words.js";

const PAGES = {
  consent: phases.consent,
  instructions: phases.instructions,
  check: phases.check,
  survey: phases.survey,
  done: phases.done,
  failed_check: phases.failedCheck,
  withdrawn: phases.withdrawn,
  full: phases.full,
  expired: phases.expired,
};

const main = document.getElementById("main");
const withdraw = document.getElementById("withdraw");
const sure = document.getElementById("sure");
let busy = false;
let turn = 0; // number of the step under way
let page = new AbortController();
let announced = ""; // the phase whose beginning has been announced here

/** Runs a step of the participant and shows the next state. `after(state)` may return a notice. */
function send(step, after) {
  if (busy) return;
  keepBackHere();
  run(step, after);
}

/** Shows the current state, after sending what an earlier page could not send. */
function arrive(text = null) {
  const kept = api.unsent();
  if (!busy) run(kept ? () => api.answer(kept) : api.look, () => text);
}

async function run(step, after = () => null) {
  const mine = ++turn;
  busy = true;
  main.setAttribute("aria-busy", "true");
  try {
    const state = await step();
    await show(state, after(state));
  } catch (error) {
    await trouble(error);
  } finally {
    if (mine === turn) {
      busy = false;
      main.removeAttribute("aria-busy");
    }
  }
}

async function trouble(error) {
  if (api.isCancelled(error)) return;
  if (!(error instanceof api.Refused)) throw error;
  if (error.status === 404) return put(phases.unknown(), "unknown");
  if (error.status !== 409) return notice(error.message);
  try {
    const state = await api.look();
    await show(state, say(state.phase === "expired" ? "late" : "elsewhere"));
  } catch (again) {
    if (again instanceof api.Refused) put(phases.unknown(), "unknown");
    else if (!api.isCancelled(again)) throw again;
  }
}

async function show(state, text = null) {
  document.getElementById("study").textContent = state.study.name;
  showContact(state.study.contact);
  if (state.feedback) {
    const go = () => send(async () => ({ ...state, feedback: null }));
    return put(phases.feedback(state, go), "feedback", text);
  }
  const trial = state.phase === "practice" || state.phase === "trials";
  showProgress(trial ? state : null);
  if (!trial) return put(PAGES[state.phase](state, send), state.phase, text);
  if (state.progress.done === 0 && announced !== state.phase) {
    announced = state.phase;
    return put(
      phases.ahead(state, () => send(async () => state)),
      state.phase,
      text,
    );
  }
  announced = state.phase;
  return showTrial(state, text);
}

async function showTrial(state, text = null) {
  const { phase, progress, trial } = state;
  const place = { place: progress.done + 1, total: progress.total };
  const title = say(phase === "practice" ? "practice_place" : "picture_place", place);
  page.abort();
  page = new AbortController();
  const { signal } = page;
  main.replaceChildren(h("p", { class: "hint" }, say("loading")));
  const made = await trialPage(state, (body) => send(() => api.answer(body)), signal);
  if (signal.aborted) return;
  put({ title, node: made.node }, `trial-${trial.id}`, text, { keepPage: true });
  // Two frames: the first is being drawn when the second begins.
  requestAnimationFrame(() => requestAnimationFrame(made.shown));
  ahead = state.preload.map((address) => Object.assign(new Image(), { src: root + address }));
}

let ahead = []; // images of the next trial; held so that the browser keeps them

/** Puts a page into place: its text, its title in the window and as heading, and the focus on that heading. */
function put({ title, node, message = null }, name, text = null, { keepPage = false } = {}) {
  if (!keepPage) page.abort();
  if (name !== "survey") drop("survey"); // sent, here or in another window, or not to be sent
  main.dataset.page = name;
  const own = node.querySelector(":scope > .prose > h1"); // a text of the study may bring its heading
  const heading = own ?? h("h1", {}, title);
  heading.tabIndex = -1;
  if (!own) node.prepend(heading);
  main.replaceChildren(node);
  if (text ?? message) notice(text ?? message);
  const study = document.getElementById("study").textContent;
  document.title = study ? `${title} – ${study}` : title;
  withdraw.hidden = ["withdrawn", "unknown"].includes(name);
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function notice(text) {
  main.querySelector(".notice")?.remove();
  main.prepend(h("div", { class: "notice" }, h("p", {}, text)));
  announce(text);
}

function showProgress(state) {
  const place = document.getElementById("progress");
  place.hidden = state === null;
  if (state === null) return place.replaceChildren();
  const { done, total } = state.progress;
  const label = say(state.phase === "practice" ? "practice_done" : "pictures_done", { done, total });
  place.replaceChildren(
    h("label", { for: "done" }, label),
    h("progress", { id: "done", max: total, value: done }),
  );
}

/** Whom to ask, at the foot of every page. */
function showContact(contact) {
  const place = document.getElementById("contact");
  place.hidden = !contact;
  place.textContent = contact ? `${say("facts_contact")}: ${contact}` : "";
}

/** The back button first shows the current page again, then leaves: no trap, and no answer twice. */
function keepBackHere() {
  if (history.state?.inside) return;
  history.pushState({ inside: true }, "");
}

addEventListener("popstate", () => {
  if (!history.state?.inside) arrive(say("back"));
});
// Pages restored from the back/forward cache run no script anew, and may show an old state.
addEventListener("pageshow", (event) => event.persisted && arrive());
document.addEventListener("keydown", (event) => {
  // A held key repeats keydown: Enter would answer picture after picture.
  const held = event.repeat && event.key === "Enter" && event.target.tagName !== "TEXTAREA";
  if (held) event.preventDefault();
});

withdraw.addEventListener("click", () => sure.showModal());
document.getElementById("stay").addEventListener("click", () => sure.close());
document.getElementById("leave").addEventListener("click", () => {
  sure.close();
  busy = false; // whatever waits for a connection is given up
  send(api.withdraw);
});

arrive();
