// One form at work: what it asks for, how far it is, how it is stopped, and what went wrong.

import { find } from "./dom.js";
import { Problem } from "./requests.js";

/**
 * Let a form do `work(signal, say)` when it is sent. `say` tells progress, `field(name)` finds the input that an error
 * names. One at a time; Cancel aborts the signal.
 */
export function working(form, work, field = (name) => find(`[data-field="${name}"]`, form)) {
  const [submit, cancel] = [find("[type=submit]", form), find(".cancel", form)];
  const [progress, problem] = [find(".progress", form), find(".problem", form)];
  let stop = null;

  const say = (words) => {
    progress.textContent = words;
  };
  const busy = (is) => {
    if (!is && document.activeElement === cancel) submit.focus();
    submit.setAttribute("aria-disabled", is); // not disabled: that would take the focus away
    cancel.hidden = !is;
  };
  const refused = (error) => {
    problem.textContent = error.message;
    const input = error.field && (field(error.field) ?? field(error.field.split(/[. ]/)[0]));
    if (!input) return;
    problem.id = `${form.parentElement.id}-problem`;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", problem.id);
    for (let fold = input.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    input.focus();
  };

  cancel.addEventListener("click", () => stop?.abort());
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(submit);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (stop) return;
    stop = new AbortController();
    problem.textContent = "";
    for (const input of form.querySelectorAll("[aria-invalid]")) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
    busy(true);
    try {
      await work(stop.signal, say);
    } catch (error) {
      say(error.name === "AbortError" ? "Cancelled." : "");
      if (error instanceof Problem) refused(error);
      else if (error.name !== "AbortError") {
        problem.textContent = `This page failed: ${error.message}`;
        throw error;
      }
    } finally {
      stop = null;
      busy(false);
    }
  });
}

/** What the inputs of a form say, without those that say nothing: the server has its own defaults. */
export function chosen(form, texts, numbers = []) {
  const body = {};
  for (const name of texts) {
    const value = form.elements[name].value;
    if (value) body[name] = value;
  }
  for (const name of numbers) {
    const value = form.elements[name].valueAsNumber;
    if (!Number.isNaN(value)) body[name] = value;
  }
  return body;
}
