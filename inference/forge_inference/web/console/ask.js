// Questions about genes: the form, and the answer while it is written.

import { shown } from "./answer.js";
import { card, count, el, fill, find } from "./dom.js";
import { chosen, working } from "./forms.js";
import { events } from "./requests.js";

const EXAMPLE = {
  query: "What does F508del do to CFTR?",
  documents: [
    {
      id: "review",
      text:
        "Cystic fibrosis is caused by variants of CFTR, a chloride channel of epithelial cells. F508del, the most common " +
        "one, keeps the protein from reaching the cell surface. It is found in 85% of patients.",
    },
    { id: "cells", text: "In HEK293 cells, F508del CFTR stayed in the endoplasmic reticulum. Ivacaftor alone did not bring it to the surface." },
  ],
};

/** Bring the form to life. */
export function ask(panel) {
  const form = find("form", panel);
  const results = find(".results", panel);
  const documents = new Documents(find("#documents", form));
  documents.add("ctx1");

  const closed = form.elements.answer_form;
  const options = () => {
    find("#ask-options", form).hidden = closed.value !== "choice";
    form.elements.choices.required = closed.value === "choice";
  };
  closed.addEventListener("change", options);
  find("#add-document", form).addEventListener("click", () => documents.add().focus());
  find("#ask-example", form).addEventListener("click", () => {
    form.elements.query.value = EXAMPLE.query;
    documents.replace(EXAMPLE.documents);
    form.elements.query.focus();
  });

  const inputOf = (name) => {
    const which = /^context[. ]([\w.-]+?)(?:\.(id|text))?$/.exec(name);
    return which ? documents.input(which[1], which[2]) : find(`[data-field="${name}"]`, form);
  };
  working(
    form,
    async (signal, say) => {
      const body = asked(form, documents.given());
      const said = el("p", { class: "prose answer" });
      fill(results, card("Answer", said));
      results.setAttribute("aria-busy", "true");
      let tokens = 0;
      say("The model reads …");
      try {
        for await (const event of events("api/v1/genomics/query", body, signal)) {
          if (event.type === "result") {
            fill(results, shown(event.result, body));
            say(summary(event.result));
          } else {
            said.append(event.text);
            if (++tokens % 25 === 0) say(`${count(tokens, "token")} written …`);
          }
        }
      } catch (error) {
        if (!said.textContent) fill(results);
        throw error;
      } finally {
        results.removeAttribute("aria-busy");
      }
    },
    inputOf,
  );
}

function summary(result) {
  if (result.abstained) return "The model abstained.";
  const found = `${count(result.citations.length, "citation")}, ${count(result.concepts.length, "concept")}`;
  return `The answer is there, with ${found}.`;
}

function asked(form, context) {
  const body = {
    ...chosen(form, ["query", "query_type", "answer_form", "model"], ["max_new_tokens", "temperature", "seed"]),
    context,
    require_context: form.elements.require_context.checked,
    include_prompt: form.elements.include_prompt.checked,
  };
  const samples = Number(form.elements.samples.value);
  if (samples > 1) {
    body.confidence = { method: "answer_frequency", samples };
    body.temperature ??= 0.7; // at 0 all answers are the same
  }
  if (body.answer_form === "choice") {
    body.choices = form.elements.choices.value.split("\n").map((line) => line.trim()).filter(Boolean);
  }
  return body;
}

/** The texts of a question, each with a name. */
class Documents {
  constructor(box) {
    this.box = box;
    this.made = 0;
  }

  /** One more; returns where its text goes. */
  add(name = null, text = "") {
    const box = find("#document").content.cloneNode(true).firstElementChild;
    const number = ++this.made;
    const [id, words] = [find("[name=id]", box), find("[name=text]", box)];
    for (const [place, input] of [id, words].entries()) {
      input.id = `document-${number}-${input.name}`;
      box.querySelectorAll("label")[place].htmlFor = input.id;
    }
    id.value = name ?? this.free();
    words.value = text;
    const remove = find("button", box);
    const named = () => {
      box.setAttribute("aria-label", `Text ${id.value}`);
      remove.setAttribute("aria-label", `Remove the text ${id.value}`);
    };
    named();
    id.addEventListener("input", named);
    remove.addEventListener("click", () => {
      const next = box.nextElementSibling ?? box.previousElementSibling;
      box.remove();
      (next ? find("textarea", next) : find("#add-document")).focus();
    });
    this.box.append(box);
    return words;
  }

  /** A name that none of them has. */
  free() {
    const taken = new Set(this.all().map((each) => each.id.value));
    let number = taken.size + 1;
    while (taken.has(`ctx${number}`)) number += 1;
    return `ctx${number}`;
  }

  all() {
    return [...this.box.children].map((box) => ({ id: find("[name=id]", box), text: find("[name=text]", box) }));
  }

  /** Those that have a text, as a request has them. */
  given() {
    return this.all().filter((each) => each.text.value.trim()).map((each) => ({ id: each.id.value, text: each.text.value }));
  }

  /** The input that an error names: by the number among those given, or by name. */
  input(which, part) {
    const given = this.all().filter((each) => each.text.value.trim());
    const one = given[Number(which)] ?? given.find((each) => each.id.value === which);
    return one?.[part ?? "text"] ?? null;
  }

  replace(documents) {
    this.box.replaceChildren();
    for (const { id, text } of documents) this.add(id, text);
  }
}
