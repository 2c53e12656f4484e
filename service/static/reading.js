/** Shows one reading: digit, decision, reasons, bars, the picture the network saw, and the time it took. */

import { DECISIONS, explain, mayPass, percent, reasons, said } from "./words.js";

const $ = (id) => document.getElementById(id);

const STAGES = { decode: "Decode", normalize: "Normalize", infer: "Infer", total: "Round trip" };

const bars = Array.from({ length: 10 }, (_, digit) => {
  const bar = $("bar").content.firstElementChild.cloneNode(true);
  bar.querySelector(".label").textContent = digit;
  return bar;
});
$("bars").append(...bars);

/** Show a prediction; `steady` is false while the camera's picture still changes. */
export function showReading(prediction, { timing, model, steady = true } = {}) {
  const { confidence, decision } = prediction;
  const reading = said(prediction);
  const { name, meaning } = DECISIONS[decision];
  hideProblem();
  Object.assign($("reading").dataset, { state: steady ? "read" : "unsteady", decision });
  $("digit").textContent = reading ?? "–";
  $("digit").classList.toggle("number", String(reading).length > 1);
  $("decision").textContent = steady ? name : "Hold it still";
  $("meaning").textContent = steady ? meaning : "Waiting for a steady picture.";
  $("confidence").textContent = reading === null ? "" : `${percent(confidence)} sure`;
  if (steady) announce(reading === null ? `${name}. ${meaning}` : `${reading}. ${name}, ${percent(confidence)} sure.`);
  list($("reasons"), steady ? reasons(prediction) : []);
  showBars(weakest(prediction));
  showSeen(prediction.image);
  showTiming(timing ?? {});
  if (model) showModel(model);
}

export function showModel({ name, version }) {
  $("model").textContent = `Read by ${name} ${version}`;
}

/** Show that nothing is read yet, and what to do for it. */
export function showNothing(hint = "Draw a digit, drop a picture, or hold a sheet before the camera.") {
  hideProblem();
  $("reading").dataset.state = "empty";
  delete $("reading").dataset.decision;
  $("digit").textContent = "–";
  $("decision").textContent = "Nothing read yet";
  $("meaning").textContent = hint;
  $("confidence").textContent = $("announcement").textContent = "";
  showTiming({});
  list($("reasons"), []);
  showBars({ digit: null, probabilities: null });
  showSeen(null);
}

/** Say what went wrong, with a button that tries again where that can help. */
export function showProblem(problem, again) {
  showNothing();
  say(explain(problem), mayPass(problem) && again);
}

export function showWaiting(seconds) {
  say(["The service is busy.", `Trying again in ${Math.ceil(seconds)}\u202fs.`]);
}

function say([headline, explanation], again) {
  $("problem").replaceChildren(text("strong", headline), ` ${explanation} `);
  if (again) $("problem").append(button("Try again", again));
  $("reading").dataset.state = "problem";
  $("problem").scrollIntoView({ block: "nearest" });
}

export function hideProblem() {
  $("problem").replaceChildren();
}

function announce(text) {
  if ($("announcement").textContent !== text) $("announcement").textContent = text;
}

/** Of a number the digit that is least sure, with its place; a single digit is its own. */
function weakest(prediction) {
  const { digits, weakest: index } = prediction;
  if (!digits) return prediction;
  return index === null ? { digit: null, probabilities: null } : { ...digits[index], place: digits.length > 1 ? index + 1 : null };
}

function showBars({ digit, probabilities, place }) {
  $("bars-title").textContent = place ? `Least sure: digit ${place} from the left` : "Probability of each digit";
  bars.forEach((bar, index) => {
    const probability = probabilities?.[index] ?? 0;
    bar.classList.toggle("best", index === digit);
    bar.querySelector(".fill").style.setProperty("--share", probability);
    bar.querySelector(".value").textContent = probabilities ? percent(probability) : "";
  });
}

function showSeen(image) {
  $("seen-title").hidden = image === undefined;
  $("seen").hidden = !image;
  if (image) $("seen").src = `data:image/png;base64,${image}`;
}

function showTiming(timing) {
  const known = Object.entries(STAGES).filter(([stage]) => stage in timing);
  $("timing").replaceChildren(...known.flatMap(([stage, words]) => [text("dt", words), text("dd", milliseconds(timing[stage]))]));
}

const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)}\u202fms`;
const text = (name, textContent) => Object.assign(document.createElement(name), { textContent });

function list(element, sentences) {
  element.hidden = !sentences.length;
  element.replaceChildren(...sentences.map((sentence) => text("li", sentence)));
}

function button(words, onclick) {
  return Object.assign(text("button", words), { type: "button", onclick });
}
