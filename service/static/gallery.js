/** Many pictures at once, through /predict/batch: tiles, a filter by decision, and a CSV file. */

import { post, Problem } from "./api.js";
import { DECISIONS, explain, percent, reasons, said } from "./words.js";

const $ = (id) => document.getElementById(id);

// Small enough to show progress; the service takes 256 pictures and 64 MiB by default.
const CHUNK_ITEMS = 25;
const CHUNK_BYTES = 12 * 2 ** 20;
const ENDS_ALL = new Set(["unreachable", "unauthorized", "unavailable", "overloaded"]);
const COLUMNS = ["file", "digit", "confidence", "decision", "reasons", "error"];

export class Gallery {
  /**
   * `path` says where to send pictures to,
   * `shown` is called with the entry of a tile that was chosen, `waiting` with seconds while the service is busy,
   * `going` with the model whenever it answers, `failed` with what ended the reading of all and a function that goes on.
   */
  constructor({ path, shown, waiting, going, failed }) {
    Object.assign(this, { path, shown, waiting, going, failed, entries: [], pending: [], total: 0, running: null });
    $("filter").addEventListener("change", () => this.#filter());
    $("download").addEventListener("click", () => save(this.entries));
    $("gallery-clear").addEventListener("click", () => this.clear());
  }

  clear() {
    this.running?.abort();
    this.running = null;
    for (const { url } of this.entries) if (url) URL.revokeObjectURL(url);
    Object.assign(this, { entries: [], pending: [], total: 0 });
    $("tiles").replaceChildren();
    $("gallery").hidden = true;
  }

  /** Read these files and add them to what is shown. */
  async add(files) {
    $("gallery").hidden = false;
    this.pending.push(...chunks(files));
    this.total += files.length;
    this.#count();
    if (!this.running) await this.read();
  }

  /** Read what waits; called again it goes on where an error ended it. */
  async read() {
    const running = (this.running = new AbortController());
    try {
      while (this.pending.length) {
        const rest = await this.#readChunk(this.pending[0], running.signal);
        this.pending.splice(0, 1, ...rest);
      }
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error, () => this.read());
    } finally {
      if (this.running === running) this.running = null;
    }
  }

  /** Read a chunk and show it; what is too much for this service at once comes back in halves. */
  async #readChunk(chunk, signal) {
    const results = await this.#results(chunk, signal);
    if (!results) return halves(chunk);
    if (signal.aborted) throw signal.reason;
    this.total += results.length - chunk.length;
    results.forEach((result, index) => this.#show(result, isArchive(chunk[0]) ? null : chunk[index]));
    this.#count();
    return [];
  }

  /** One result for each picture, or nothing where there are too many of them. */
  async #results(chunk, signal) {
    try {
      const { answer } = await post(this.path(), ...body(chunk, { signal, waiting: this.waiting }));
      this.going(answer.model);
      return answer.results;
    } catch (error) {
      if (!(error instanceof Problem) || ENDS_ALL.has(error.code)) throw error;
      if (chunk.length > 1) return null;
      return [{ id: chunk[0].name, prediction: null, error }];
    }
  }

  #show({ id, prediction, error }, file) {
    const entry = { name: String(id), file, prediction, error, group: prediction?.decision ?? "error", url: null };
    const tile = $("tile").content.firstElementChild.cloneNode(true);
    const write = (part, text) => (tile.querySelector(`.tile-${part}`).textContent = text);
    entry.tile = tile;
    tile.dataset.group = entry.group;
    const reading = (prediction && said(prediction)) ?? "–";
    write("digit", reading);
    tile.querySelector(".tile-digit").classList.toggle("number", String(reading).length > 1);
    write("decision", prediction ? DECISIONS[entry.group].name : "Failed");
    write("confidence", remark(entry));
    write("name", entry.name);
    tile.title = entry.name;
    picture(tile.querySelector("img"), entry, file);
    tile.querySelector("button").onclick = () => this.#choose(entry);
    tile.hidden = !matches(tile);
    this.entries.push(entry);
    $("tiles").append(tile);
  }

  #choose(entry) {
    for (const { tile } of this.entries) tile.firstElementChild.setAttribute("aria-current", tile === entry.tile);
    this.shown(entry);
  }

  #filter() {
    for (const { tile } of this.entries) tile.hidden = !matches(tile);
  }

  #count() {
    const counts = { all: this.entries.length, accept: 0, review: 0, reject: 0, error: 0 };
    for (const { group } of this.entries) counts[group]++;
    for (const place of document.querySelectorAll("[data-count]")) place.textContent = counts[place.dataset.count];
    Object.assign($("gallery-progress"), { value: counts.all, max: this.total, hidden: counts.all === this.total });
    $("gallery-summary").textContent = counts.all < this.total ? `${counts.all} of ${this.total} read` : `${counts.all} read, ${counts.accept} need no second look`;
  }
}

function remark({ prediction, error }) {
  if (!prediction) return explain(error)[0];
  return said(prediction) === null ? reasons(prediction)[0] : percent(prediction.confidence);
}

export const isArchive = (file) => /\.zip$/i.test(file.name) || file.type.includes("zip");

/** Files in the order given, in requests of a bearable size; an archive goes alone. */
function chunks(files) {
  const all = [];
  let bytes = Infinity;
  for (const file of files) {
    const last = all.at(-1);
    const full = !last || last.length === CHUNK_ITEMS || bytes + file.size > CHUNK_BYTES || isArchive(last[0]) || isArchive(file);
    bytes = full ? file.size : bytes + file.size;
    if (full) all.push([file]);
    else last.push(file);
  }
  return all;
}

function halves(chunk) {
  const middle = Math.ceil(chunk.length / 2);
  return [chunk.slice(0, middle), chunk.slice(middle)];
}

function body(chunk, options) {
  if (isArchive(chunk[0])) return [chunk[0], { ...options, type: "application/zip" }];
  const form = new FormData();
  for (const file of chunk) form.append("files", file, file.name);
  return [form, options];
}

/** The file itself, or what the network saw of it where the browser cannot show the file. */
function picture(image, entry, file) {
  const seen = entry.prediction?.image ? `data:image/png;base64,${entry.prediction.image}` : null;
  image.onerror = () => {
    image.onerror = null;
    image.hidden = !seen;
    if (seen) image.src = seen;
  };
  if (file) image.src = entry.url = URL.createObjectURL(file);
  else image.onerror();
}

function matches(tile) {
  const { value } = document.querySelector("[name=filter]:checked");
  return value === "all" || value === tile.dataset.group;
}

function save(entries) {
  const lines = [COLUMNS, ...entries.map(row)].map((cells) => cells.map(quote).join(","));
  const url = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: url, download: "digits.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url));
}

function row({ name, prediction, error }) {
  if (!prediction) return [name, "", "", "", "", error.detail];
  return [name, said(prediction) ?? "", prediction.confidence, prediction.decision, prediction.reasons.join(" "), ""];
}

/** A cell of CSV; a name that a spreadsheet would take for a formula is kept a text. */
function quote(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

