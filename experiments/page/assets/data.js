"use strict";

/* The table and the races of this page, unpacked.  Values that are missing are NaN here and
   are never drawn or printed as numbers. */

const FORMS = { u8: Uint8Array, u16: Uint16Array, i32: Int32Array, f32: Float32Array, f64: Float64Array };
const MISSING = 65535;

/** Typed array of some base64 text. */
function fromBase64(text, form) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let k = 0; k < letters.length; k += 1) bytes[k] = letters.charCodeAt(k);
  return new FORMS[form](bytes.buffer);
}

/** Values of a packed column, NaN where missing. */
function unpack(packed) {
  const stored = fromBase64(packed.data, packed.form);
  if (packed.form !== "u16") return Float64Array.from(stored);
  const power = 10 ** packed.decimals;
  return Float64Array.from(stored, (k) => (k === MISSING ? NaN : (k + packed.offset) / power));
}

const Data = (() => {
  const raw = JSON.parse(document.getElementById("data").textContent);
  const { table, races } = raw;
  for (const column of table.columns) {
    column.decimals = column.packed.form === "u16" ? column.packed.decimals : null;
    column.values = unpack(column.packed);
    delete column.packed;
  }
  const byName = new Map(table.columns.map((column) => [column.name, column]));
  const count = byName.get("arch_id").values.length;
  const indices = table.indices === null ? null : fromBase64(table.indices, "i32");
  const positions = indices && new Map(Array.from(indices, (index, position) => [index, position]));

  /** Position on the page of a vector of texts, or -1 where the table has no entry of it. */
  function find(vector) {
    let index = 0;
    const digits = table.entries.map((entry, k) => entry.choices.indexOf(vector[k]));
    if (vector.length !== digits.length || digits.includes(-1)) return -1;
    digits.forEach((digit, k) => {
      index = index * table.entries[k].choices.length + digit;
    });
    return positions ? (positions.get(index) ?? -1) : index;
  }

  const entries = new Map(table.entries.map((entry) => [entry.name, entry]));
  /** A level of an entry in words, from where it stands on an axis. */
  const level = (name, place) => entries.get(name).choices[entries.get(name).places.indexOf(place)];
  const vector = (position) => table.entries.map((entry) => level(entry.name, byName.get(entry.name).values[position]));
  const name = (position) => `[${vector(position).join(table.separator === "-" ? " " : ", ")}]`;
  /** As the toolkit reads it, and back; -1 for what the table has no entry of. */
  const text = (position) => vector(position).join(table.separator);
  const parse = (given) => find(given.split(table.separator));

  const sorted = new Map();
  /** `{place, of}` of a value among all known values of a column: 1 is best; null without direction. */
  function rank(column, value) {
    if (!column.better || Number.isNaN(value)) return null;
    if (!sorted.has(column.name)) sorted.set(column.name, column.values.filter((v) => !Number.isNaN(v)).sort());
    const known = sorted.get(column.name);
    let [low, high] = [0, known.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (known[middle] < value || (column.better > 0 && known[middle] === value)) low = middle + 1;
      else high = middle;
    }
    return { place: (column.better > 0 ? known.length - low : low) + 1, of: known.length };
  }

  return { table, races, count, byName, entries, find, vector, level, name, text, parse, rank };
})();

const grouped = new Intl.NumberFormat("en");

/** A value with its unit, as exact as the table has it. */
function printed(column, value) {
  if (Number.isNaN(value)) return "no value";
  if (column.kind === "flag") return value ? "yes" : "no";
  if (column.kind === "entry") return Data.level(column.name, value);
  const number =
    column.kind === "id" ? String(value)
    : column.decimals ? value.toFixed(column.decimals)
    : Number.isInteger(value) ? grouped.format(value)
    : String(Number(value.toPrecision(6)));
  return column.unit === "%" ? `${number} %` : number;
}

/** Three decimals, as the page's tables print them (`number` in experiments/tables.py); "" for null. */
function inDigits(value) {
  if (value === null) return "";
  const size = Math.abs(value);
  if (0 < size && size < 0.0005) return String(Number(value.toPrecision(3)));
  return size < 1e5 ? value.toFixed(3) : value.toExponential(3);
}

/** A round count with the letter of its size. */
function short(value) {
  const [size, letter] = [[1e9, " G"], [1e6, " M"], [1e3, " k"]].find(([least]) => value >= least) ?? [1, ""];
  return `${Number((value / size).toPrecision(4))}${letter}`;
}

/** A large count in short, for places where the exact one has no room. */
const brief = (column, value) => (column.kind === "cost" && value >= 1e6 ? short(value) : printed(column, value));

/** An element with attributes and children; text is text, never markup. */
function element(tag, attributes = {}, ...children) {
  const out = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in out) out[key] = value;
    else out.setAttribute(key, value);
  }
  out.append(...children);
  return out;
}

/** Put text on the clipboard; also where a browser keeps that from pages of the disk. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function download(name, type, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Lines of a CSV file; text that spreadsheets would take for a formula gets an apostrophe. */
function csv(lines) {
  const cell = (value) => {
    if (typeof value === "number") return Number.isNaN(value) ? "" : String(value);
    const text = /^[=+\-@\t]/.test(value) ? `'${value}` : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return lines.map((line) => `${line.map(cell).join()}\n`).join("");
}

const inWords = (name) => name.replaceAll("_", " ");
