// Sorts and filters the suspicious labels. Without it all of them are shown as they are ranked.
const form = document.querySelector("form.filters");
if (form) {
  const list = document.getElementById("suspect-list");
  const rows = [...list.querySelectorAll("tbody > tr")];
  const groups = [[...list.querySelectorAll(".grid > li")], rows].filter((cells) => cells.length);
  const natural = new Intl.Collator(undefined, { numeric: true }).compare;
  for (const name of ["label", "suggested"]) {
    const values = [...new Set(rows.map((row) => row.dataset[name]))].sort(natural);
    for (const value of values) form.elements[name].add(new Option(value, value));
  }
  const update = () => {
    const { label, suggested, text, sort } = form.elements;
    const wanted = text.value.trim().toLowerCase();
    const fits = ({ dataset: one }) => (!label.value || one.label === label.value)
      && (!suggested.value || one.suggested === suggested.value)
      && [one.annotator, one.item].some((name) => name.toLowerCase().includes(wanted));
    const order = ({ dataset: a }, { dataset: b }) => natural(a[sort.value], b[sort.value]) || a.index - b.index;
    for (const cells of groups) {
      for (const cell of cells) cell.hidden = !fits(cell);
      cells[0].parentElement.append(...cells.toSorted(order));
    }
    form.querySelector("output").textContent = `${rows.filter(fits).length} of ${rows.length}`;
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  update();
}
// What is folded away belongs on paper, but for pages of settings.
addEventListener("beforeprint", () => document.querySelectorAll("details:not(.long)").forEach((one) => { one.open = true; }));
