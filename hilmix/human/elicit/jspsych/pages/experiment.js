// A study of hilmix elicit under jsPsych 8. Everything it shows is in timeline.json and images/.

const OTHERS = "100 other people";

/** An element; properties that start with "on" are listeners, others attributes. */
function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** Text of the researcher: HTML that hilmix has made from Markdown, raw markup escaped. */
function html(text) {
  const node = h("div");
  node.innerHTML = text;
  return node;
}

const picture = (file, alt) => h("img", { src: `images/${file}`, alt });

function slider(name, label, ends, touch) {
  const value = h("output", {}, "not set");
  let moved = false;
  const input = h("input", { type: "range", min: 0, max: 100, value: 50, name, oninput: move, onchange: move, onpointerup: move });
  function move() {
    moved = true;
    touch(name);
    value.textContent = `${input.value} %`;
  }
  const marks = h("span", { class: "ends" }, ...ends.map((end) => h("span", {}, end)));
  return { node: h("label", {}, label, " ", value, input, marks), value: () => (moved ? Number(input.value) / 100 : null) };
}

function radios(name, legend, items, touch) {
  const inputs = items.map(([value]) => h("input", { type: "radio", name, value, onchange: () => touch(name) }));
  const labels = items.map(([, content], i) => h("label", {}, inputs[i], " ", content));
  const chosen = () => inputs.find((input) => input.checked);
  return { node: h("fieldset", {}, h("legend", {}, legend), ...labels), value: () => (chosen() ? Number(chosen().value) : null) };
}

function percent(name, label, touch) {
  const input = h("input", { type: "number", min: 0, max: 100, step: "any", name, oninput: () => touch(name) });
  const value = () => (input.value !== "" && input.checkValidity() ? Number(input.value) : null);
  return { node: h("label", {}, label, " ", input, " %"), value };
}

const confidence = (touch) => slider("confidence", "How sure are you?", ["a guess", "", "certain"], touch);

/** Each task: what to show, and an answer, or a sentence on what is missing. */
const TASKS = {
  infer({ trial, study, names, touch }) {
    const [one, two] = names;
    const mix = slider("mix", "How much of each?", [`100 % ${one}`, "half and half", `100 % ${two}`], touch);
    const sure = confidence(touch);
    const read = () => {
      if (mix.value() === null || sure.value() === null) return "Move both sliders.";
      return { weight: Math.round(100 * (1 - mix.value())) / 100, confidence: sure.value() };
    };
    const question = study.third ? `How much of each class would ${OTHERS} say is in this picture?`
      : "How much of each class do you see in this picture?";
    return { question, nodes: [picture(trial.images[0], "The picture to judge"), mix.node, sure.node], read };
  },
  vote({ trial, study, touch }) {
    const label = radios("label", "Class", study.order.map((k) => [k, study.classes[k]]), touch);
    const sure = confidence(touch);
    const read = () => {
      if (label.value() === null || sure.value() === null) return "Choose a class and move the slider.";
      return { label: label.value(), confidence: sure.value() };
    };
    const question = study.third ? `Which class would ${OTHERS} say that this picture shows?`
      : "Which class do you see in this picture?";
    return { question, nodes: [picture(trial.images[0], "The picture to judge"), label.node, sure.node], read };
  },
  categorical({ trial, study, touch }) {
    const items = study.order.map((k) => [k, study.classes[k]]);
    const top = radios("top", "Most probable class", items, touch);
    const topPercent = percent("top_percent", "How probable?", touch);
    const second = radios("second", "Second most probable class", [...items, [-1, "no second class"]], touch);
    const secondPercent = percent("second_percent", "How probable?", touch);
    const boxes = items.map(([k]) => h("input", { type: "checkbox", value: k, onchange: () => touch("impossible") }));
    const ticks = h("fieldset", {}, h("legend", {}, "Impossible classes"),
      ...items.map(([, name], i) => h("label", {}, boxes[i], " ", name)));
    const read = () => {
      const none = second.value() === -1;
      if (top.value() === null || topPercent.value() === null) return "Give the most probable class and its percent.";
      if (second.value() === null) return "Choose a second class, or that there is none.";
      if (!none && secondPercent.value() === null) return "Give the percent of the second class.";
      if (second.value() === top.value()) return "The second class is the same as the first.";
      if (topPercent.value() + (none ? 0 : secondPercent.value()) > 100) return "Both percents together are more than 100.";
      const impossible = boxes.filter((box) => box.checked).map((box) => Number(box.value));
      if (impossible.includes(top.value()) || impossible.includes(second.value()))
        return "A class that you gave a percent cannot be impossible.";
      return {
        top: top.value(), top_percent: topPercent.value(), impossible,
        second: none ? null : second.value(), second_percent: none ? null : secondPercent.value(),
      };
    };
    const question = study.third ? `Which classes would ${OTHERS} say that this picture shows?`
      : "Which classes do you see in this picture?";
    const controls = [top, topPercent, second, secondPercent].map((control) => control.node);
    return { question, nodes: [picture(trial.images[0], "The picture to judge"), ...controls, ticks], read };
  },
  construct({ trial, study, names, touch }) {
    let at = trial.weights.indexOf(trial.start);
    const images = trial.images.map((file) => picture(file, "The mix"));
    const show = () => images.forEach((image, i) => (image.hidden = i !== at));
    const step = (by) => {
      touch("step");
      at = Math.min(Math.max(at + by, 0), images.length - 1);
      show();
    };
    show();
    const less = h("button", { type: "button", class: "jspsych-btn", onclick: () => step(-1) }, `Less ${names[0]}`);
    const more = h("button", { type: "button", class: "jspsych-btn", onclick: () => step(1) }, `More ${names[0]}`);
    return { question: half(study, names), nodes: [...images, less, " ", more], read: () => ({ weight: trial.weights[at] }) };
  },
  select({ jsPsych, trial, study, names, touch }) {
    const places = jsPsych.randomization.shuffle(trial.weights.map((_, i) => i));
    const items = places.map((i, place) => [place, picture(trial.images[i], `Mix ${place + 1}`)]);
    const choice = radios("choice", "Mixes", items, touch);
    choice.node.classList.add("thumbnails");
    const read = () =>
      choice.value() === null ? "Choose a mix." : { weight: trial.weights[places[choice.value()]], position: choice.value() };
    return { question: half(study, names), nodes: [choice.node], read };
  },
};

const half = (study, [one, two]) =>
  study.third ? `Of which mix would ${OTHERS} say that it is half ${one} and half ${two}?`
    : `Which mix do you see as half ${one} and half ${two}?`;

/** Shows nodes and a button, until `read` gives something else than a sentence; then ends the trial with that. */
function ask(jsPsych, display, nodes, button, read) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const send = (event) => {
    event.preventDefault();
    const given = read();
    if (typeof given === "string") wrong.textContent = given;
    else jsPsych.finishTrial(given);
  };
  const next = h("button", { class: "jspsych-btn" }, button);
  display.replaceChildren(h("form", { class: "elicit", novalidate: true, onsubmit: send }, ...nodes, wrong, next));
  window.scrollTo(0, 0);
}

/** A page of text, with statements to tick or questions to answer. */
class TextPage {
  static info = {
    name: "hilmix-text",
    version: "1.0.0",
    parameters: {
      text: { type: jsPsychModule.ParameterType.HTML_STRING, default: "" },
      statements: { type: jsPsychModule.ParameterType.HTML_STRING, array: true, default: [] },
      questions: { type: jsPsychModule.ParameterType.OBJECT, array: true, default: [] },
      button: { type: jsPsychModule.ParameterType.STRING, default: "Continue" },
    },
    data: { right: { type: jsPsychModule.ParameterType.BOOL } },
  };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  trial(display, page) {
    const boxes = page.statements.map(() => h("input", { type: "checkbox" }));
    const ticks = page.statements.map((statement, i) => {
      const text = html(statement);
      text.style.display = "inline";
      return h("label", {}, boxes[i], " ", text);
    });
    const questions = page.questions.map((one, i) =>
      radios(`question-${i}`, one.question, one.choices.map((choice, k) => [k, choice]), () => {}));
    const read = () => {
      if (!boxes.every((box) => box.checked)) return "Tick every statement to take part.";
      if (questions.some((one) => one.value() === null)) return "Answer every question.";
      return questions.length ? { right: questions.every((one, i) => one.value() === page.questions[i].right) } : {};
    };
    ask(this.jsPsych, display, [html(page.text), ...ticks, ...questions.map((one) => one.node)], page.button, read);
  }
}

/** One trial of a task. */
class TaskPage {
  static info = {
    name: "hilmix-trial",
    version: "1.0.0",
    parameters: {
      shown: { type: jsPsychModule.ParameterType.OBJECT, default: undefined },
      task: { type: jsPsychModule.ParameterType.STRING, default: undefined },
      study: { type: jsPsychModule.ParameterType.OBJECT, default: undefined },
    },
    data: {
      trial: { type: jsPsychModule.ParameterType.INT },
      answer: { type: jsPsychModule.ParameterType.OBJECT },
      seconds: { type: jsPsychModule.ParameterType.FLOAT },
      touched: { type: jsPsychModule.ParameterType.OBJECT },
    },
  };

  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  trial(display, page) {
    const { shown, task, study } = page;
    const start = performance.now();
    const since = () => Math.round(performance.now() - start) / 1000;
    const touched = {};
    const names = shown.labels && shown.labels.map((label) => study.classes[label]);
    const touch = (control) => (touched[control] = since());
    const view = TASKS[task]({ jsPsych: this.jsPsych, trial: shown, study, names, touch });
    const read = () => {
      const answer = view.read();
      return typeof answer === "string" ? answer : { trial: shown.id, answer: { task, ...answer }, seconds: since(), touched };
    };
    ask(this.jsPsych, display, [h("h1", {}, view.question), ...view.nodes], "Continue", read);
  }
}

async function save(jsPsych) {
  const answers = jsPsych.data.get().json();
  if (window.saveAnswers) await window.saveAnswers(answers);
  else if (window.jatos) await window.jatos.endStudy(answers);
  else jsPsych.data.get().localSave("json", "answers.json");
}

async function run() {
  const study = await (await fetch("timeline.json")).json();
  document.title = study.study;
  const jsPsych = initJsPsych({ show_progress_bar: true });
  const asked = Number(new URLSearchParams(location.search).get("batch") ?? NaN);
  const batch = study.batches[asked] ?? jsPsych.randomization.sampleWithoutReplacement(study.batches, 1)[0];
  const participant = jsPsych.randomization.randomID(15);
  const started = Date.now() / 1000; // seconds since 1970
  jsPsych.data.addProperties({ participant, batch: batch.id, task: batch.task, manifest: study.manifest, started });

  const shared = {
    classes: study.classes,
    third: study.wording === "third",
    order: jsPsych.randomization.shuffle(study.classes.map((_, k) => k)), // once per participant
  };
  const kinds = (...wanted) => batch.trials.filter((trial) => wanted.includes(trial.kind));
  const main = jsPsych.randomization.shuffle(kinds("main", "catch"));
  const trials = [...kinds("practice"), ...main, ...kinds("repeat")];
  for (const file of new Set(trials.flatMap((trial) => trial.images))) new Image().src = `images/${file}`;

  let [passed, failed] = [false, 0];
  const check = {
    timeline: [
      { type: TextPage, text: study.instructions[batch.task] },
      { type: TextPage, questions: study.checks[batch.task], button: "Check" },
    ],
    loop_function: (data) => {
      passed = data.values().at(-1).right;
      failed += passed ? 0 : 1;
      return !passed && failed < study.check_attempts;
    },
  };
  const pages = trials.map((shown) => ({ type: TaskPage, shown, task: batch.task, study: shared, data: { kind: shown.kind } }));
  await jsPsych.run([
    { type: TextPage, text: study.consent, statements: study.statements, button: "Take part" },
    check,
    { timeline: pages, conditional_function: () => passed },
  ]);
  await save(jsPsych);
  const end = html(passed ? study.thanks : "<p>The study ends here, as the questions were not answered right. Thank you.</p>");
  end.className = "elicit";
  if (passed && study.completion_code) end.append(h("p", {}, "Your completion code: ", h("strong", {}, study.completion_code)));
  jsPsych.getDisplayElement().replaceChildren(end);
}

run();
