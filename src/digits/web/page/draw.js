// The page: asks the server what is drawn, shows its answer, and saves drawings under their right label.

import { PENS, Pad } from "./pad.js";

const BETWEEN = 30; // milliseconds from one question to the next within a stroke
const RETRY = 3000; // milliseconds until a server that has gone is asked again
const LARGEST = 32 * 2 ** 20; // bytes of a picture file that the server takes

const $ = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
const bars = Array.from({ length: 10 }, (_, digit) => addBar(digit));
const labels = Array.from({ length: 10 }, (_, digit) => addLabel(digit));
const pad = new Pad($("pad"), changed);

let version = 0; // of what is drawn; every change makes a new one
let generation = 0; // goes up where an answer that is on its way must not be shown any more
let asking = false; // one question at a time
let asked = 0; // the version of the last question
let askedAt = 0;
let timer = 0;
let answer = null; // the last one, and the version it is of
let marked = 0; // which of its digits is looked at
let saved = new Set(); // which of its digits were saved

function changed(another) {
  version++;
  saved = new Set();
  if (another) {
    generation++;
    marked = 0;
    $("whole").checked = false;
  }
  say("");
  $("hint").hidden = !pad.empty;
  if (pad.empty) show(null);
  else ask();
  allow();
}

/** Ask what is drawn: at once, or soon if a stroke goes on or an answer is still to come. */
async function ask() {
  clearTimeout(timer);
  if (asking || pad.empty || asked === version) return;
  const wait = pad.drawing ? askedAt + BETWEEN - performance.now() : 0;
  if (wait > 0) {
    timer = setTimeout(ask, wait);
    return;
  }
  asking = true;
  asked = version;
  askedAt = performance.now();
  const about = { version, generation, finished: !pad.drawing };
  try {
    const response = await post("read");
    const found = response.ok ? await response.json() : await response.text();
    const preview = found.preview && (await image(found.preview));
    if (about.generation === generation) {
      if (response.ok) show({ ...found, ...about }, preview);
      else refuse(found);
    }
    here(true);
  } catch {
    here(false);
  }
  asking = false;
  if ($("gone").hidden) ask();
}

function post(what, query = {}) {
  const file = pad.now.picture?.file;
  const digits = $("whole").checked ? "one" : "auto";
  const kind = file ? (file.type.startsWith("image/") ? file.type : "image/unknown") : "application/octet-stream";
  const settings = new URLSearchParams({ digits, ...query });
  const headers = { "Content-Type": kind };
  return fetch(`${what}?${settings}`, { method: "POST", headers, body: file ?? pad.pixels() });
}

function image(base64) {
  return createImageBitmap(new Blob([bytes(base64)], { type: "image/jpeg" }));
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function refuse(sentence) {
  if (pad.now.picture) pad.undo(); // to what was there before the file
  else show(null);
  say(sentence, true);
}

function show(found, preview) {
  answer = found;
  $("pad").dataset.version = found?.version ?? version;
  if (preview) {
    Object.assign(pad.now.picture, { image: preview, size: found.size });
    say("");
  }
  const digits = found?.digits ?? [];
  marked = Math.min(marked, Math.max(digits.length - 1, 0));
  const several = digits.length > 1;
  $("digits").className = several ? "several" : "";
  $("digits").replaceChildren(...(several ? digits.flatMap(choice) : [single(digits[0])]));
  $("one").hidden = !several && !$("whole").checked;
  look();
  if (!found) $("spoken").textContent = "";
  else if (found.finished) $("spoken").textContent = sentence(found);
}

function single(digit) {
  const shown = document.createElement("span");
  shown.textContent = digit?.answer ?? "";
  if (digit?.answer === "?") shown.className = "none";
  return shown;
}

/** One of several digits, to be chosen; before it, where a new row begins, an empty line's end. */
function choice(digit, place, all) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: digit.answer });
  if (digit.answer === "?") button.className = "none";
  button.addEventListener("click", () => {
    marked = place;
    look();
    $("spoken").textContent = `digit ${place + 1} of ${all.length}: ${digit.answer}, ${described(digit)}`;
  });
  if (!place || all[place - 1].row === digit.row) return [button];
  return [Object.assign(document.createElement("span"), { className: "row" }), button];
}

/** Show the digit that is looked at: its probabilities, what the network sees of it, and its box. */
function look() {
  const digits = answer?.digits ?? [];
  const digit = digits[marked];
  bars.forEach(({ row, fill, share }, place) => {
    const probability = digit?.probabilities[place] ?? 0;
    row.className = place === digit?.likeliest ? "likeliest" : "";
    fill.style.transform = `scaleX(${probability})`;
    fill.setAttribute("aria-valuenow", probability);
    share.textContent = digit ? percent(probability) : "";
  });
  const seen = new ImageData(28, 28);
  const grey = digit ? bytes(digit.image) : new Uint8Array(784);
  grey.forEach((value, place) => seen.data.set([value, value, value, 255], 4 * place));
  $("seen").getContext("2d").putImageData(seen, 0, 0);
  $("confidence").textContent = answer ? described(digit) : "";
  $("digits").querySelectorAll("button").forEach((one, place) => (one.ariaPressed = place === marked));
  const boxed = digits.length > 1 || pad.now.picture ? digits : [];
  pad.boxes = boxed.map(({ box, answer }, place) => ({ box, marked: place === marked, rejected: answer === "?" }));
  pad.show();
  $("that").textContent = digits.length > 1 ? `Digit ${marked + 1} of ${digits.length} was a` : "That was a";
  allow();
}

function described(digit) {
  if (!digit) return "no ink";
  const likeliest = `${digit.likeliest} with ${percent(digit.confidence)}`;
  return digit.answer === "?" ? `not a digit (likeliest ${likeliest})` : percent(digit.confidence);
}

function sentence({ digits }) {
  if (digits.length > 1) return `${digits.length} digits: ${digits.map((digit) => digit.answer).join("")}`;
  return digits[0] && digits[0].answer !== "?" ? `${digits[0].answer}, ${described(digits[0])}` : described(digits[0]);
}

/** Let a digit be saved once the answer is of what is drawn now. */
function allow() {
  const can = answer?.version === version && answer.finished && answer.digits.length && !saved.has(marked);
  for (const button of labels) button.disabled = !can;
}

async function save(label) {
  const about = { generation, several: answer.digits.length > 1, digit: marked };
  const done = saved; // of what is drawn now
  done.add(marked);
  allow();
  $("labels").focus(); // which the button loses with its use
  const undone = () => {
    done.delete(about.digit);
    allow();
  };
  try {
    const response = await post("save", { label, digit: about.digit });
    const found = response.ok ? await response.json() : await response.text();
    here(true);
    if (!response.ok) {
      undone();
      say(found, true);
      return;
    }
    if (about.generation === generation && !about.several) pad.clear();
    say(`Saved as ${found.file}; ${found.saved} in all. To teach them to the network: ${found.command}`);
  } catch {
    undone();
    here(false);
  }
}

/** Note whether the server answers; where it does not, ask again soon. */
function here(answers) {
  $("gone").hidden = answers;
  if (answers) return;
  asked = 0;
  timer = setTimeout(ask, RETRY);
}

function say(text, wrong = false) {
  $("status").textContent = text;
  $("status").className = wrong ? "wrong" : "";
}

function addBar(digit) {
  const row = document.createElement("li");
  const [name, track, fill, share] = ["span", "div", "div", "span"].map((one) => document.createElement(one));
  name.textContent = digit;
  track.className = "track";
  fill.className = "fill";
  fill.role = "meter";
  fill.ariaLabel = `${digit}`;
  fill.ariaValueMin = "0";
  fill.ariaValueMax = "1";
  track.append(fill);
  row.append(name, track, share);
  $("bars").append(row);
  return { row, fill, share };
}

function addLabel(digit) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", textContent: digit, disabled: true });
  button.addEventListener("click", () => save(digit));
  $("labels").append(button);
  return button;
}

function take(file) {
  if (!file) return;
  if (file.size > LARGEST) say(`${file.name} has ${Math.round(file.size / 2 ** 20)} MB; at most 32 are read`, true);
  else {
    pad.take(file);
    say(`Reading ${file.name} …`);
  }
}

for (const name of ["thin", "thick"]) {
  $(name).addEventListener("click", () => {
    pad.pen = PENS[name];
    for (const one of ["thin", "thick"]) $(one).ariaPressed = one === name;
  });
}
$("clear").addEventListener("click", () => pad.clear());
$("undo").addEventListener("click", () => pad.undo());
$("whole").addEventListener("change", () => {
  generation++; // what is there is read anew, in another way
  changed(false);
});
for (const input of [$("file"), $("photo")]) {
  input.addEventListener("change", ({ target }) => {
    take(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  });
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape") pad.clear();
  else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey) pad.undo();
  else return;
  event.preventDefault();
});
addEventListener("paste", ({ clipboardData }) => take(clipboardData.files[0]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("pad").classList.add("over");
});
addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || $("pad").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("pad").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
