// What is kept on this device, by participant, until the server has it. Private windows may have no storage.

const [root, own] = location.pathname.split("/p/");
/** Where the study lies on its server: several may share one. */
export { root };
export const code = own;
const place = (name) => `hilmix elicit ${code} ${name}`;

/** What was kept under a name, or null. */
export function load(name) {
  try {
    return JSON.parse(localStorage.getItem(place(name)));
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(place(name), JSON.stringify(value));
  } catch {
    // No storage, nothing kept.
  }
}

export function drop(name) {
  try {
    localStorage.removeItem(place(name));
  } catch {
    // No storage, nothing kept.
  }
}
