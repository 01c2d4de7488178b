// Places in texts. The server counts code points, JavaScript counts UTF-16 units: one character beyond the first 65,536
// would move everything after it.

/** A text whose places are code points. */
export class Text {
  constructor(text) {
    this.text = text;
    this.units = null; // where each code point begins; not needed where each is one unit
    if (/[\ud800-\udfff]/.test(text)) {
      this.units = [];
      let unit = 0;
      for (const point of text) {
        this.units.push(unit);
        unit += point.length;
      }
      this.units.push(unit);
    }
  }

  get length() {
    return this.units ? this.units.length - 1 : this.text.length;
  }

  slice(start, end) {
    return this.units ? this.text.slice(this.units[start], this.units[end]) : this.text.slice(start, end);
  }

  /** Where a code point is that begins at this unit. */
  pointAt(unit) {
    return this.units ? this.units.indexOf(unit) : unit;
  }

  /** Where a piece stands, looked for between two places; null where it does not. */
  place(piece, start, end) {
    const unit = this.slice(start, end).indexOf(piece);
    if (unit < 0) return null;
    const from = this.pointAt((this.units ? this.units[start] : start) + unit);
    return { start: from, end: from + [...piece].length };
  }
}

/**
 * Nodes of a text with marks in layers: whatever lies further down is cut at the borders of what lies above it, so that
 * a mark of the first layer is always one element with all of its text.
 *
 * A mark is {start, end, node}. What it marks is put into its node, unless it stands `instead` of it. Where two of
 * one layer overlap, the first has the place.
 */
export function marked(text, layers, start = 0, end = text.length) {
  if (!layers.length) return start < end ? [document.createTextNode(text.slice(start, end))] : [];
  const [marks, ...below] = layers;
  const nodes = [];
  let at = start;
  for (const mark of [...marks].sort((one, other) => one.start - other.start || one.end - other.end)) {
    const from = Math.max(mark.start, at);
    const to = Math.min(mark.end, end);
    const isPoint = mark.start === mark.end;
    if (to < from || (to === from && !isPoint)) continue;
    nodes.push(...marked(text, below, at, from));
    const node = mark.node(); // made anew for each piece: one that is cut is there twice
    if (!mark.instead) node.append(...marked(text, below, from, to));
    nodes.push(node);
    at = to;
  }
  nodes.push(...marked(text, below, at, end));
  return nodes;
}
