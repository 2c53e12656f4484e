/** The way to the service: one place for keys, patience and errors. Addresses are relative, so a path prefix works. */

const KEY = "digits-api-key";
const BUSY = new Set([429, 503]);
const TRIES = 4;
const LONGEST_WAIT = 30; // seconds

/** Why the service did not answer with a reading. */
export class Problem extends Error {
  constructor({ code, detail = "", request_id: requestId }) {
    super(detail);
    this.code = code;
    this.detail = detail;
    this.requestId = requestId;
  }
}

/**
 * Send a body and return `{answer, timing}`: the JSON, and milliseconds by stage with the whole way as `total`.
 * While the service is busy it waits as long as the service asks for, and tells `waiting` the seconds.
 * Throws a `Problem`, or an AbortError where `signal` ended it.
 */
export async function post(path, body, { signal, type, waiting = () => {} } = {}) {
  for (let attempt = 1; ; attempt++) {
    const started = performance.now();
    const response = await request(path, { method: "POST", body, signal, headers: type ? { "Content-Type": type } : {} });
    if (response.ok) {
      const answer = await whole(response);
      return { answer, timing: { ...stages(response), total: performance.now() - started } };
    }
    if (!BUSY.has(response.status) || attempt === TRIES) throw await problem(response);
    const seconds = retryAfter(response, attempt);
    waiting(seconds);
    await pause(seconds * 1000, signal);
  }
}

/** The JSON at an address of the service. Throws a `Problem`. */
export async function get(path) {
  const response = await request(path, {});
  if (!response.ok) throw await problem(response);
  return whole(response);
}

async function request(path, options) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(key && { Authorization: `Bearer ${key}` }) };
    const response = await reached(fetch(path, { ...options, headers }));
    if (response.status !== 401) return response;
    if (key === sessionStorage.getItem(KEY) && !(await askOnce(Boolean(key)))) return response;
  }
}

/** A network error as a problem; the end that the caller asked for stays what it is. */
async function reached(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ code: "unreachable", detail: "the service does not answer" });
  }
}

const whole = (response) => reached(response.json());

async function problem(response) {
  try {
    return new Problem(await response.json());
  } catch {
    return new Problem({ code: "unknown", detail: `status ${response.status}` });
  }
}

function retryAfter(response, attempt) {
  const told = Number(response.headers.get("Retry-After"));
  return Math.min(told > 0 ? told : 2 ** (attempt - 1), LONGEST_WAIT);
}

function stages(response) {
  const header = response.headers.get("Server-Timing") ?? "";
  return Object.fromEntries([...header.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, stage, ms]) => [stage, Number(ms)]));
}

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

let asking = null;

/** Ask for a key; those who need one at the same time share the question. Resolves to whether one was given. */
function askOnce(refused) {
  asking ??= ask(refused).finally(() => (asking = null));
  return asking;
}

function ask(refused) {
  const [dialog, form, input] = ["key-dialog", "key-form", "key"].map((id) => document.getElementById(id));
  if (refused) document.getElementById("key-title").textContent = "The service does not know this API key";
  sessionStorage.removeItem(KEY);
  input.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, input.value.trim());
      dialog.close();
    };
    document.getElementById("key-cancel").onclick = () => dialog.close();
    dialog.onclose = () => resolve(sessionStorage.getItem(KEY) !== null);
  });
}
