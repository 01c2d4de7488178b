// How everything gets into the page: as elements made here, and as text. What a server, a model or a manuscript says
// is never read as markup.

/** An element. Attributes: true is an empty one, false and null none, a function listens to the event of `on…`. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** The first element that a selector finds in another one. */
export const find = (selector, inside = document) => inside.querySelector(selector);

/** Put these nodes in the place of all that an element holds. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== false));
}

/** A card of results. */
export function card(title, ...children) {
  return el("article", { class: "card" }, el("h3", {}, title), children);
}

/** A folded part. */
export function folded(title, ...children) {
  return el("details", { class: "more" }, el("summary", {}, title), children);
}

/** A table that scrolls by itself where it is too wide, by keyboard as well. The first cell of a row heads it. */
export function table(caption, heads, rows) {
  const body = rows.map((cells) =>
    el("tr", {}, cells.map((cell, place) => (place ? el("td", {}, cell) : el("th", { scope: "row" }, cell)))),
  );
  return el(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, body),
    ),
  );
}

/** Names and values of an object, and of those in it. */
export function facts(object) {
  return el(
    "dl",
    { class: "facts" },
    Object.entries(object).map(([name, value]) => [
      el("dt", {}, name.replaceAll("_", " ")),
      value !== null && typeof value === "object" && !Array.isArray(value)
        ? el("dd", {}, facts(value))
        : el("dd", {}, value === null ? "–" : Array.isArray(value) ? value.map(said).join(", ") || "–" : String(value)),
    ]),
  );
}

const said = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

/** "1 citation", "2 citations". */
export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** The whole answer as the server sent it, to read and to keep. */
export function raw(answer) {
  const text = JSON.stringify(answer, null, 2);
  const save = () => {
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    el("a", { href: address, download: `${answer.id}.json` }).click();
    URL.revokeObjectURL(address);
  };
  const box = el("pre", { class: "text", tabindex: "0", role: "region", "aria-label": "The answer as JSON" });
  const fold = folded("The whole answer as JSON", el("button", { type: "button", class: "quiet", onclick: save }, "Save as a file"), box);
  fold.addEventListener("toggle", () => {
    box.textContent = fold.open ? text : ""; // long, and seldom looked at
  });
  return fold;
}
