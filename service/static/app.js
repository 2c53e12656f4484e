/** The page: what is drawn, given or seen goes to the service as it is, and its reading is shown. */

import { post } from "./api.js";
import { explainRefusal, Steadiness, watch, whyOff } from "./camera.js";
import { Drawing } from "./drawing.js";
import { receiveFiles } from "./files.js";
import { Gallery, isArchive } from "./gallery.js";
import { hideProblem, showModel, showNothing, showProblem, showReading, showWaiting } from "./reading.js";
import { tabs } from "./tabs.js";

const $ = (id) => document.getElementById(id);
const PREDICT = "predict?include=image";
const FIELD = "predict/field";

// --- one picture -----------------------------------------------------------------------------------------------------

let current = new AbortController();

/** Read a picture and show the reading; a newer one takes the place of one that is still under way. */
async function read(picture, path = PREDICT) {
  const { signal } = supersede();
  try {
    const { answer, timing } = await post(path, picture, { signal, waiting: showWaiting });
    if (!signal.aborted) showReading(answer, { timing, model: answer.model });
  } catch (error) {
    if (signal.aborted) return;
    showProblem(error, () => read(picture, path));
  }
}

function supersede() {
  current.abort();
  current = new AbortController();
  return current;
}

// --- drawing ---------------------------------------------------------------------------------------------------------

const drawing = new Drawing($("drawing"), async () => {
  const empty = !drawing.strokes.length;
  $("undo").disabled = !drawing.canUndo;
  $("clear").disabled = empty;
  $("draw-hint").hidden = !empty;
  if (!empty) return read(await drawing.toBlob());
  supersede();
  showNothing();
});

$("drawing").addEventListener("pointerdown", () => ($("draw-hint").hidden = true));
$("undo").addEventListener("click", () => drawing.undo());
$("clear").addEventListener("click", () => drawing.clear());
$("brush").addEventListener("input", ({ target }) => (drawing.pen = target.value / 100));
document.addEventListener("keydown", (event) => {
  if ($("panel-draw").hidden || $("key-dialog").open) return;
  if (event.key === "Escape") drawing.clear();
  if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    drawing.undo();
  }
});

// --- files -----------------------------------------------------------------------------------------------------------

const forNumbers = () => $("number").checked;

let given = null; // the one picture that is shown

const gallery = new Gallery({
  path: () => (forNumbers() ? `${FIELD}/batch` : "predict/batch?include=image"),
  waiting: showWaiting,
  going: (model) => {
    hideProblem();
    showModel(model);
  },
  failed: showProblem,
  shown: ({ prediction, error, file }) => {
    supersede();
    select("panel-picture");
    preview(file);
    if (prediction) showReading(prediction);
    else showProblem(error);
    $("reading").focus({ preventScroll: true });
    $("reading").scrollIntoView({ block: "nearest" });
  },
});

// A photo can be taken where there is a touch screen; elsewhere the button would only choose a file once more.
$("photograph-label").hidden = !navigator.maxTouchPoints;

receiveFiles([$("choose"), $("photograph")], (files) => {
  select("panel-picture");
  given = null;
  if (files.length === 1 && !isArchive(files[0])) {
    given = files[0];
    preview(given);
    return readGiven();
  }
  supersede();
  showNothing("Choose one of the pictures below to see all of its reading.");
  preview(null);
  gallery.add(files);
  $("gallery").scrollIntoView({ block: "nearest" });
});

function readGiven() {
  return read(given, forNumbers() ? FIELD : PREDICT);
}

$("number").addEventListener("change", () => given && readGiven());

function preview(file) {
  const image = $("preview");
  URL.revokeObjectURL(image.src);
  image.hidden = !file;
  if (file) image.src = URL.createObjectURL(file);
  image.onerror = () => (image.hidden = true); // the service may know a format that the browser does not
}

// --- camera ----------------------------------------------------------------------------------------------------------

let watching = null;

async function startCamera() {
  const steadiness = new Steadiness();
  watching = new AbortController();
  showCamera(true);
  try {
    await watch($("video"), (picture) => readFrame(picture, steadiness), watching.signal);
  } catch (error) {
    $("camera-hint").textContent = explainRefusal(error);
  }
  stopCamera();
}

async function readFrame(picture, steadiness) {
  const { signal } = watching;
  try {
    const { answer, timing } = await post(PREDICT, picture, { signal, waiting: showWaiting });
    if (!signal.aborted) showReading(answer, { timing, model: answer.model, steady: steadiness.add(answer) });
  } catch (error) {
    if (signal.aborted) return;
    stopCamera();
    showProblem(error, startCamera);
  }
}

function stopCamera() {
  watching?.abort();
  watching = null;
  showCamera(false);
}

function showCamera(on) {
  $("panel-camera").classList.toggle("on", on);
  $("camera-switch").textContent = on ? "Stop the camera" : "Start the camera";
  if (on) $("camera-hint").textContent = "Hold one digit inside the frame";
}

$("camera-switch").addEventListener("click", () => (watching ? stopCamera() : startCamera()));
if (whyOff()) {
  $("camera-hint").textContent = whyOff();
  $("camera-switch").hidden = true;
}

const select = tabs(document.querySelector("[role=tablist]"), (panel) => {
  if (panel !== "panel-camera" && watching) stopCamera();
});
