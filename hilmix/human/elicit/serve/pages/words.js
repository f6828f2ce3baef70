// The words of the study, in its language: the server puts them into the page.

const words = JSON.parse(document.getElementById("words").textContent);

/** A text with its placeholders filled in. */
export const say = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** The question of a trial; `names` are the classes of the two images, where the task names them. */
export function question(task, wording, names) {
  const kind = task === "construct" || task === "select" ? "midpoint" : task;
  return say(`question.${kind}.${wording}`, { one: names?.[0], two: names?.[1] });
}
