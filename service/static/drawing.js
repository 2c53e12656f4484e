/** Paper to draw on. Strokes are kept as points of the unit square, so they are drawn alike at every size. */

const SENT = 280; // pixels a side
const STEP = 0.02; // of a side, for one press of an arrow key
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

export class Drawing {
  /** `changed` is called after every stroke, undo and clear. */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.pen = 0.06; // width, of a side
    this.history = [[]];
    this.stroke = null;
    this.cursor = null;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#up());
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#hideCursor());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  get strokes() {
    return this.history.at(-1);
  }

  get canUndo() {
    return this.history.length > 1;
  }

  undo() {
    if (this.canUndo) this.history.pop();
    this.#show();
  }

  clear() {
    if (this.strokes.length) this.history.push([]);
    this.#show();
  }

  /** The drawing as a PNG, dark on white, whatever colours the page has. */
  toBlob() {
    const sheet = document.createElement("canvas");
    sheet.width = sheet.height = SENT;
    const context = sheet.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, SENT, SENT);
    for (const stroke of this.strokes) trace(context, stroke, SENT, "#111");
    return new Promise((resolve) => sheet.toBlob(resolve));
  }

  #down(event) {
    if (event.button !== 0 || this.stroke) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.#hideCursor();
    this.#begin(this.#point(event));
  }

  #move(event) {
    if (!this.stroke || !this.canvas.hasPointerCapture(event.pointerId)) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.stroke.points.push(this.#point(each));
    this.#paint();
  }

  #up() {
    if (!this.stroke) return;
    this.history.push([...this.strokes, this.stroke]);
    this.stroke = null;
    this.#show();
  }

  #key(event) {
    if (event.key in ARROWS) this.#step(...ARROWS[event.key]);
    else if (event.key === " " && this.stroke) this.#up();
    else if (event.key === " ") this.#begin((this.cursor ??= [0.5, 0.5]));
    else return;
    event.preventDefault();
  }

  #step(dx, dy) {
    const [x, y] = this.cursor ?? [0.5, 0.5];
    this.cursor = [x + dx, y + dy].map((value) => Math.min(1, Math.max(0, value)));
    this.stroke?.points.push(this.cursor);
    this.#paint();
  }

  #hideCursor() {
    this.cursor = null;
    this.#up();
    this.#paint();
  }

  #begin(point) {
    this.stroke = { pen: this.pen, points: [point] };
    this.#paint();
  }

  #point(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #show() {
    this.#paint();
    this.changed();
  }

  #paint() {
    const context = this.canvas.getContext("2d");
    const side = this.canvas.width;
    const ink = getComputedStyle(this.canvas).color;
    context.clearRect(0, 0, side, side);
    for (const stroke of this.stroke ? [...this.strokes, this.stroke] : this.strokes) trace(context, stroke, side, ink);
    if (this.cursor) ring(context, this.cursor, side, this.pen, ink);
  }
}

/** A stroke through the middles of its points, which rounds the corners of a fast hand. */
function trace(context, { pen, points }, side, ink) {
  context.strokeStyle = ink;
  context.lineWidth = pen * side;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  const [first, ...rest] = points.map(([x, y]) => [x * side, y * side]);
  context.moveTo(...first);
  let last = first;
  for (const point of rest) {
    context.quadraticCurveTo(...last, (last[0] + point[0]) / 2, (last[1] + point[1]) / 2);
    last = point;
  }
  context.lineTo(...last);
  context.stroke();
}

function ring(context, [x, y], side, pen, ink) {
  context.strokeStyle = ink;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x * side, y * side, (pen * side) / 2 + 4, 0, 2 * Math.PI);
  context.stroke();
}
