// Small helpers for making and announcing things.

/** Makes an element. A key "onclick" adds a listener; true and false set and leave out an attribute. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A text of the study: HTML that the server made from Markdown, without raw HTML. Links leave the session open. */
export function prose(html) {
  const node = h("div", { class: "prose" });
  node.innerHTML = html;
  for (const link of node.querySelectorAll("a[href]")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  return node;
}

/** Announces a text to screen readers without moving the focus. */
export function announce(text) {
  const region = document.getElementById("polite");
  // Emptied first, as screen readers ignore a live region whose text stays the same.
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 50);
}

const LARGEST_PIXELS = 128; // an image of up to so many pixels a side is enlarged without smoothing

/** Pixels stay square and of one size: an enlarged width is a whole multiple of the image's own (see trial.css). */
export function enlarge(image) {
  if (image.naturalWidth > LARGEST_PIXELS) return;
  image.classList.add("pixels");
  image.style.setProperty("--own", `${image.naturalWidth}px`);
}

let last = 0;

/** An id that no other element has. */
export const newId = () => `id${++last}`;

/** Percent as text. */
export const percent = (value) => `${value} %`;

export const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** The button that ends a page. A second click of a double click must not answer the page that follows. */
export function submitButton(text) {
  const guard = (event) => event.detail > 1 && event.preventDefault();
  return h("button", { type: "submit", class: "main", onclick: guard }, text);
}
