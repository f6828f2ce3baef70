// The researcher's page: the numbers of the study, asked for again every few seconds while the page is seen.

import { h, percent, wait } from "./dom.js";

const address = `/api/status/${location.pathname.split("/")[2]}`;
const EVERY = 10_000;
const PHASES = ["consent", "instructions", "check", "trials", "survey", "done", "failed_check", "full"];

const number = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits));
const seconds = (value) => (value === null ? "–" : `${value.toFixed(1)} s`);
const right = (content) => h("td", { class: "right" }, content);

function table(caption, heads, rows) {
  const head = heads.map(([text, isNumber]) => h("th", { scope: "col", class: isNumber ? "right" : null }, text));
  const made = h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows));
  return h("div", { class: "table", tabindex: 0, role: "region", "aria-label": caption }, made);
}

function bar(done, total, label) {
  const share = total ? Math.floor((100 * done) / total) : 0;
  return h(
    "td",
    {},
    h("progress", { max: total, value: done, "aria-label": label }),
    ` ${percent(share)} (${done} of ${total})`,
  );
}

function tasks(status) {
  const heads = [
    ["Task"],
    ["Judgments"],
    ["Stimuli with enough"],
    ["Median time", true],
    ["Same class", true],
    ["Difference", true],
  ];
  const rows = status.tasks.map((one) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, one.task),
      bar(one.judgments, one.wanted, `Judgments of ${one.task}`),
      bar(one.complete, one.stimuli, `Stimuli of ${one.task} with enough judgments`),
      right(seconds(one.median_seconds)),
      right(one.agreement === null ? "–" : percent(Math.round(100 * one.agreement))),
      right(number(one.difference)),
    ),
  );
  return table("Coverage", heads, rows);
}

function phases(status) {
  const rows = PHASES.filter((phase) => status.phases[phase]).map((phase) =>
    h("tr", {}, h("th", { scope: "row" }, phase.replace("_", " ")), right(String(status.phases[phase]))),
  );
  if (status.withdrawn) rows.push(h("tr", {}, h("th", { scope: "row" }, "withdrawn"), right(String(status.withdrawn))));
  return table("Where people are", [["Phase"], ["People", true]], rows);
}

function people(status) {
  const heads = [
    ["No.", true],
    ["Phase"],
    ["Task"],
    ["Answers", true],
    ["Median time", true],
    ["Loads", true],
    ["Flags"],
    ["Counts"],
  ];
  const rows = status.participants.map((one) =>
    h(
      "tr",
      {},
      right(String(one.number)),
      h("td", {}, one.phase.replace("_", " ")),
      h("td", {}, one.task ?? "–"),
      right(`${one.done} of ${one.total}`),
      right(seconds(one.median_seconds)),
      right(String(one.loads)),
      h("td", {}, one.flags.map((flag) => `${flag.rule}: ${flag.detail}`).join("; ") || "none"),
      h("td", { class: one.excluded ? "bad" : null }, one.excluded ? `no – ${one.excluded}` : "yes"),
    ),
  );
  return table("Participants", heads, rows);
}

async function refresh() {
  const when = document.getElementById("when");
  try {
    const reply = await fetch(address, { signal: AbortSignal.timeout(15_000) });
    const status = await reply.json();
    if (!reply.ok) throw new Error(status.error);
    document.getElementById("study").textContent = status.name;
    document.title = `Status – ${status.name}`;
    when.textContent = `as of ${new Date(status.now * 1000).toLocaleTimeString()}`;
    const note = h(
      "p",
      { class: "hint" },
      "Judgments are answers to main trials of people who are not excluded. Same class and ",
      "difference compare the answers of two people to the same stimulus.",
    );
    document.getElementById("numbers").replaceChildren(tasks(status), note, phases(status), people(status));
  } catch (error) {
    when.textContent = `no answer (${error.message}); trying again`;
  }
}

for (;;) {
  if (!document.hidden) await refresh();
  await wait(EVERY);
}
