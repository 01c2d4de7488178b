// One prompt, two models: the adapter and what it was trained on, side by side.

import { card, el, facts, fill, find, folded, raw } from "./dom.js";
import { chosen, working } from "./forms.js";
import { events } from "./requests.js";
import { effort, rounded } from "./words.js";

/** Bring the form to life. */
export function compare(panel) {
  const form = find("form", panel);
  const results = find(".results", panel);
  working(form, async (signal, say) => {
    const body = chosen(form, ["text"], ["max_new_tokens", "temperature"]);
    const sides = [form.elements.left, form.elements.right].map((select) => new Side(select.value, named(select)));
    const verdict = el("p", { class: "note" }, "Both are asked at once.");
    fill(results, verdict, el("div", { class: "sides" }, sides.map((side) => side.box)));
    say("Both answer …");
    // What goes wrong on one side is told there; the other goes on.
    const ended = await Promise.allSettled(sides.map((side) => side.ask(body, signal)));
    const failed = ended.filter((each) => each.status === "rejected").map((each) => each.reason);
    if (failed.length) {
      verdict.textContent = "They cannot be compared.";
      throw failed[0];
    }
    const [left, right] = ended.map((each) => each.value);
    verdict.textContent = left === right ? "Both answers are the same, letter by letter." : differs(left, right);
    say("Both answers are there.");
  });
}

const named = (select) => select.selectedOptions[0]?.textContent ?? "the served model";

function differs(left, right) {
  const [one, other] = [left.split(/\s+/), right.split(/\s+/)];
  let same = 0;
  while (same < Math.min(one.length, other.length) && one[same] === other[same]) same += 1;
  return same ? `The answers differ from word ${same + 1} on.` : "The answers differ from the first word on.";
}

class Side {
  constructor(model, name) {
    this.model = model;
    this.said = el("p", { class: "prose answer" });
    this.told = el("div", { class: "stack" });
    this.box = card(name, this.said, this.told);
  }

  /** The answer's text. Raises what `events` does. */
  async ask(body, signal) {
    this.box.setAttribute("aria-busy", "true");
    try {
      for await (const event of events("api/v1/generate", this.model ? { ...body, model: this.model } : body, signal)) {
        if (event.results) return this.end(event);
        this.said.append(event.text);
      }
    } catch (error) {
      fill(this.told, el("p", { class: "note bad" }, error.name === "AbortError" ? "Cancelled." : error.message));
      throw error;
    } finally {
      this.box.removeAttribute("aria-busy");
    }
    return this.said.textContent;
  }

  end(answer) {
    const [result] = answer.results;
    const figure = result.confidence ? `${rounded(result.confidence.value)} a token, not calibrated: it sorts answers of one model` : "none";
    this.said.textContent = result.text;
    fill(
      this.told,
      result.finish_reason === "length" && el("p", { class: "note warn" }, "Cut off: it reached the longest length that was allowed."),
      el("p", { class: "meta" }, `${effort(answer.usage, answer.timing_ms)}. Confidence: ${figure}.`),
      folded("Provenance", facts(answer.provenance)),
      raw(answer),
    );
    return result.text;
  }
}
