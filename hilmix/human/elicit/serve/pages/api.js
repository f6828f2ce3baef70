// The server's interface. Requests are repeated until the server replies; an unsent answer survives a reload.

import { announce, h, wait } from "./dom.js";
import { code, drop, keep, load, root } from "./kept.js";
import { say } from "./words.js";

const base = `${root}/api/p/${code}`;
const LONGEST_WAIT = 20_000;
const TIME_LIMIT = 15_000;

/** A request that the server refused: an HTTP status from 400 to 499, and its message. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The server failed; it may have recovered when asked again. */
class Failed extends Error {}

/** Thrown into pending requests when the participant withdraws. */
class Cancelled extends Error {}

let generation = 0;
let wake = () => {};
let inMemory = null;

addEventListener("online", () => wake());

export const look = () => request("GET", "");
export const post = (path, body) => request("POST", `/${path}`, body);

/** Deletes everything, here and on the server; pending requests are dropped. */
export function withdraw() {
  generation += 1;
  wake();
  forget();
  drop("survey");
  return request("DELETE", "");
}

/** Sends an answer and returns the next state, with feedback on a practice answer. It is kept, with its key, until the server has it or refuses it. */
export async function answer(body) {
  inMemory = body;
  keep("answer", body);
  try {
    const { state, feedback } = await post("answers", body);
    return { ...state, feedback };
  } finally {
    forget(body.key);
  }
}

/** The answer that an earlier page could not send, or null. */
export const unsent = () => inMemory ?? load("answer");

/** An image that is ready to be drawn; tried again until it comes. */
export async function picture(address, alt, signal) {
  for (let tries = 0; ; tries += 1) {
    const image = new Image();
    image.alt = alt;
    image.draggable = false;
    image.src = root + address;
    try {
      await image.decode();
      connected();
      return image;
    } catch {
      if (signal.aborted) throw new Cancelled();
      await lost(tries, say("picture_lost"));
      if (signal.aborted) throw new Cancelled();
    }
  }
}

export const isCancelled = (error) => error instanceof Cancelled;

/** A random key for an answer. crypto.randomUUID is missing where a study is served without TLS. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

async function request(method, path, body) {
  const mine = generation;
  for (let tries = 0; ; tries += 1) {
    let reply = null;
    let what = say("connection_lost");
    try {
      reply = await once(method, path, body);
    } catch (error) {
      if (error instanceof Failed) what = say("server_failed");
      if (error instanceof Refused) {
        connected();
        throw error;
      }
    }
    if (mine !== generation) throw new Cancelled();
    if (reply !== null) {
      connected();
      return reply;
    }
    await lost(tries, what);
    if (mine !== generation) throw new Cancelled();
  }
}

/** The reply; an error where there is none yet: no connection, no time left, or a server in trouble (5xx, 429). */
async function once(method, path, body) {
  const reply = await fetch(base + path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(TIME_LIMIT),
  });
  if (reply.status >= 500 || reply.status === 429) throw new Failed();
  const content = await reply.json();
  if (!reply.ok) throw new Refused(reply.status, content.error);
  return content;
}

/** Shows a message and waits, twice as long each time, or until the button or the browser's "online" event. */
async function lost(tries, what) {
  const banner = document.getElementById("connection");
  if (!banner.hasChildNodes()) {
    const text = [what, say(unsent() ? "answer_kept" : "nothing_lost"), say("retrying")].join(" ");
    const now = h("button", { type: "button", class: "second", onclick: () => wake() }, say("try_now"));
    banner.append(h("p", {}, text), now);
  }
  const now = new Promise((done) => (wake = done));
  await Promise.race([now, wait(Math.min(LONGEST_WAIT, 1000 * 2 ** tries))]);
}

function connected() {
  const banner = document.getElementById("connection");
  if (!banner.hasChildNodes()) return;
  banner.replaceChildren();
  announce(say("connected"));
}

function forget(key = null) {
  inMemory = null;
  if (key !== null && load("answer")?.key !== key) return; // another window has kept its own since
  drop("answer");
}
