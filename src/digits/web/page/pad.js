// The drawing: strokes of mouse, finger or pen, or a picture file that stands in their place; what of it is shown, and
// the pixels that the server reads.

export const SIDE = 196; // pixels of the drawing that the server reads, each way
export const PENS = { thin: 8, thick: 14 }; // pixels of SIDE
const EMPTY = { strokes: [], picture: null };

export class Pad {
  /**
   * @param {HTMLCanvasElement} canvas where it is drawn
   * @param {(another: boolean) => void} changed called at each change; another is false where a drawing only goes on
   */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.pen = PENS.thick;
    this.now = EMPTY;
    this.past = []; // what Undo goes back to
    this.boxes = []; // { box: [left, top, right, bottom], marked, rejected } in the pixels of what was read
    this.pointer = null; // the one that draws; others, such as a palm, do not
    this.ink = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE })
      .getContext("2d", { alpha: false, willReadFrequently: true });
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#go(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.#end(event));
    // or a quick stroke is also taken for a flick to scroll by, and the next tap for what stops it
    canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    new ResizeObserver(() => this.show()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show());
  }

  get empty() {
    return !this.now.strokes.length && !this.now.picture;
  }

  get drawing() {
    return this.pointer !== null;
  }

  clear() {
    if (!this.empty) this.#become(EMPTY);
  }

  undo() {
    if (this.drawing || !this.past.length) return;
    this.now = this.past.pop();
    this.#renew();
  }

  /** Put a picture file in the drawing's place; its image comes with the server's answer. */
  take(file) {
    this.#become({ strokes: [], picture: { file, image: null } });
  }

  /** Give the brightness of SIDE x SIDE pixels, one byte each, dark ink on light. */
  pixels() {
    const { data } = this.ink.getImageData(0, 0, SIDE, SIDE);
    const grey = new Uint8Array(SIDE * SIDE);
    for (let i = 0; i < grey.length; i++) grey[i] = data[4 * i];
    return grey;
  }

  /** Show the drawing or the picture, with the boxes round what was read. */
  show() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio) || SIDE;
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const pen = this.canvas.getContext("2d");
    pen.resetTransform();
    pen.clearRect(0, 0, side, side);
    const image = this.now.picture?.image;
    const [width, height] = this.now.picture ? this.now.picture.size ?? [1, 1] : [SIDE, SIDE];
    const scale = side / Math.max(width, height);
    pen.setTransform(scale, 0, 0, scale, (side - width * scale) / 2, (side - height * scale) / 2);
    if (image) pen.drawImage(image, 0, 0, width, height);
    const style = getComputedStyle(this.canvas);
    for (const stroke of this.now.strokes) line(pen, stroke, style.color);
    const ground = image ? "-on-white" : "";
    const [good, bad] = ["--likely", "--wrong"].map((name) => style.getPropertyValue(name + ground));
    pen.lineWidth = (2 * devicePixelRatio) / scale;
    for (const { box: [left, top, right, bottom], marked, rejected } of this.boxes) {
      pen.strokeStyle = rejected ? bad : good;
      pen.setLineDash(marked ? [] : [6 / scale, 6 / scale]);
      pen.strokeRect(left, top, right - left, bottom - top);
    }
  }

  #begin(event) {
    if (this.drawing || event.button !== 0) return;
    event.preventDefault();
    document.activeElement.blur(); // or Escape would still go to the list that was used last
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    const stroke = { width: this.pen, points: [this.#place(event)] };
    const another = this.now.picture !== null; // a drawing takes a picture's place
    this.past.push(this.now);
    this.now = { strokes: [...this.now.strokes, stroke], picture: null };
    this.boxes = [];
    this.#render();
    this.changed(another);
  }

  #go(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    const stroke = this.now.strokes.at(-1);
    const from = stroke.points.length - 1;
    for (const one of events.length ? events : [event]) stroke.points.push(this.#place(one));
    line(this.ink, { ...stroke, points: stroke.points.slice(from) }, "#000");
    this.show();
    this.changed(false);
  }

  #end(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.changed(false);
  }

  #place(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    return [((event.clientX - left) * SIDE) / width, ((event.clientY - top) * SIDE) / width];
  }

  #become(state) {
    this.pointer = null;
    this.past.push(this.now);
    this.now = state;
    this.#renew();
  }

  #renew() {
    this.boxes = [];
    this.#render();
    this.changed(true);
  }

  #render() {
    this.ink.fillStyle = "#fff";
    this.ink.fillRect(0, 0, SIDE, SIDE);
    for (const stroke of this.now.strokes) line(this.ink, stroke, "#000");
    this.show();
  }
}

function line(pen, { width, points }, colour) {
  pen.strokeStyle = colour;
  pen.setLineDash([]);
  pen.lineWidth = width;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...points[0]);
  for (const point of points) pen.lineTo(...point); // of a single point, a dot
  pen.stroke();
}
