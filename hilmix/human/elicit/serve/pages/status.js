// The researcher's page: the numbers of the study, fetched again every few seconds while the page is visible.

import { h, percent, wait } from "./dom.js";

const [root, token] = location.pathname.split("/status/");
const address = `${root}/api/status/${token}`;
const EVERY = 10_000;
const PHASES = ["consent", "instructions", "check", "trials", "survey", "done", "failed_check", "full"];

const number = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits));
const seconds = (value) => (value === null ? "–" : `${value.toFixed(1)} s`);
const clock = (value) => new Date(value * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
const spaced = (phase) => phase.replace("_", " ");
/** As exports call a participant. */
const name = (one) => `p${String(one.number).padStart(3, "0")}`;
const cell = (...content) => h("td", {}, ...content);
const right = (content) => h("td", { class: "right" }, String(content));
const row = (header, ...cells) => h("tr", {}, h("th", { scope: "row" }, header), ...cells);

/** A table; a head that begins with ">" is that of numbers. */
function table(heads, rows) {
  const head = (text) => h("th", { scope: "col", class: text.startsWith(">") ? "right" : null }, text.replace(">", ""));
  const made = heads.map((text) => (text ? head(text) : h("td")));
  return h("table", {}, h("thead", {}, h("tr", {}, ...made)), h("tbody", {}, ...rows));
}

function bar(done, total, label) {
  const share = total ? Math.floor((100 * done) / total) : 0;
  const drawn = h("progress", { max: total, value: done, "aria-label": label });
  return cell(drawn, ` ${percent(share)} (${done} of ${total})`);
}

/** How many mixes have how many judgments: "4 with 0, 2 with 3 or more". */
function counts(one) {
  const last = one.counts.length - 1;
  const parts = one.counts.map((mixes, given) => mixes && `${mixes} with ${given}${given === last ? " or more" : ""}`);
  return parts.filter(Boolean).join(", ");
}

function agreement(one) {
  if (one.agreement !== null) return `${percent(Math.round(100 * one.agreement))} same class`;
  return one.difference === null ? "–" : `ICC ${number(one.icc)}, differ by ${number(one.difference)}`;
}

/** A column for each task: there are few, and phones are narrow. */
function tasks(status) {
  const across = (header, made) => row(header, ...status.tasks.map(made));
  const rows = [
    across("Judgments", (one) => bar(one.judgments, one.wanted, `Judgments of ${one.task}`)),
    across("Complete mixes", (one) => bar(one.complete, one.stimuli, `Complete mixes of ${one.task}`)),
    across("Complete batches", (one) => bar(one.complete_batches, one.batches, `Complete batches of ${one.task}`)),
    across("Mixes by judgments", (one) => cell(counts(one))),
    across("Agreement", (one) => cell(agreement(one))),
    across("Median time", (one) => cell(seconds(one.median_seconds))),
  ];
  return table(["", ...status.tasks.map((one) => one.task)], rows);
}

function phases(status) {
  const there = PHASES.filter((phase) => status.phases[phase]);
  const rows = there.map((phase) => row(spaced(phase), right(status.phases[phase])));
  if (status.withdrawn) rows.push(row("withdrawn, all deleted", right(status.withdrawn)));
  return rows.length ? table(["Phase", ">Participants"], rows) : h("p", {}, "No participant has joined yet.");
}

function flags(status) {
  const noticed = status.participants.filter((one) => one.flags.length || one.excluded);
  if (!noticed.length) return h("p", {}, "No participant is flagged.");
  const lines = (one) => one.flags.map(({ rule, detail }) => h("li", {}, h("b", {}, rule), `: ${detail}`));
  const rules = (reason) => reason.split("; ").map((part) => part.split(":")[0]);
  const rows = noticed.map((one) =>
    row(
      name(one),
      h("td", { class: one.excluded ? "bad" : null }, one.excluded ? rules(one.excluded).join(", ") : "–"),
      cell(h("ul", {}, ...lines(one))),
    ),
  );
  return table(["Participant", "Excluded by", "Flags"], rows);
}

function participants(status) {
  const rows = status.participants.map((one) =>
    row(
      name(one),
      cell(spaced(one.phase)),
      cell(one.task ?? "–"),
      right(`${one.done} of ${one.total}`),
      right(seconds(one.median_seconds)),
      right(one.loads),
      right(clock(one.joined)),
    ),
  );
  return table(["Participant", "Phase", "Task", ">Answers", ">Median time", ">Loads in trials", ">Joined"], rows);
}

/** Pictures with the widest spread of answers. */
function disputed(status) {
  if (!status.disputed.length) return h("p", {}, "No two judgments of a picture differ.");
  const figures = status.disputed.map((one) =>
    h(
      "figure",
      {},
      h("img", { src: `${address}/images/${one.image}`, alt: `${one.task}: ${one.shown}` }),
      h("figcaption", {}, h("b", {}, one.shown), h("span", {}, `${one.task}: ${one.answers.join(", ")}`)),
    ),
  );
  return h("div", { class: "figures" }, ...figures);
}

/** How the judgments are spread over the mixes, drawn: a bar for each number of judgments. */
function coverage(status) {
  const charts = status.tasks.map((one) => {
    const most = Math.max(1, ...one.counts);
    const last = one.counts.length - 1;
    const bars = one.counts.map((mixes, given) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, `${given}${given === last ? " or more" : ""}`),
        h("td", {}, h("meter", { min: 0, max: most, value: mixes, "aria-label": `${mixes} mixes` }), ` ${mixes}`),
      ),
    );
    const caption = h("caption", {}, `${one.task}: mixes by number of judgments`);
    return h("table", { class: "chart" }, caption, h("tbody", {}, ...bars));
  });
  return h("div", { class: "charts" }, ...charts);
}

const PARTS = { coverage, disputed, tasks, phases, flags, participants };

/** Replaces the content of the parts only, so that scroll position and focus stay. */
function show(status) {
  document.getElementById("study").textContent = status.name;
  document.title = `Status – ${status.name}`;
  document.getElementById("download").href = `${address}/answers.csv`;
  document.getElementById("when").textContent = `as of ${clock(status.now)}`;
  for (const [id, part] of Object.entries(PARTS)) document.getElementById(id).replaceChildren(part(status));
}

async function refresh() {
  try {
    const reply = await fetch(address, { signal: AbortSignal.timeout(15_000) });
    const status = await reply.json();
    if (!reply.ok) throw new Error(status.error);
    show(status);
  } catch (error) {
    document.getElementById("when").textContent = `no answer (${error.message}); trying again`;
  }
}

for (;;) {
  if (!document.hidden) await refresh();
  await wait(EVERY);
}
