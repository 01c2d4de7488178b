// Papers: the form, the file, and how far the reading is.

import { analysis } from "./analysis.js";
import { count, fill, find } from "./dom.js";
import { chosen, working } from "./forms.js";
import { Problem, events } from "./requests.js";

// Each format: by what it is known, and the field of the request that takes it. A PDF is a body of its own.
const FORMATS = [
  { name: "PDF", type: "application/pdf", ends: [".pdf"] },
  { name: "JATS", field: "jats_xml", ends: [".xml", ".nxml"], begins: /^\s*(?:<\?xml|<!DOCTYPE\s+article|<article\b)/ },
  { name: "LaTeX", field: "latex", ends: [".tex", ".latex"], begins: /^(?:\s*%[^\n]*\n)*\s*\\documentclass/ },
  { name: "text", field: "text", ends: [".txt", ".md", ".text"], begins: /^/ },
];

/** Bring the form to life. */
export function paper(panel) {
  const form = find("form", panel);
  const results = find(".results", panel);
  const bar = find("progress", form);
  const [text, file] = [find("#paper-text", form), find("#paper-file", form)];
  const tell = chosenFile(form, file);
  file.accept = FORMATS.flatMap((format) => format.ends).join();
  find("#paper-formats", form).textContent = FORMATS.map((format) => `${format.name} (${format.ends.join(", ")})`).join("; ");

  working(form, async (signal, say) => {
    const sent = await given(text, file.files[0]);
    const body = { ...chosen(form, ["model"], ["max_model_calls", "max_new_tokens"]), ...sent.fields, ...wanted(form) };
    fill(results);
    say(body.use_model ? "Reading …" : "Applying the rules …");
    results.setAttribute("aria-busy", "true");
    bar.hidden = false;
    bar.removeAttribute("value");
    try {
      for await (const event of events("api/v1/papers/analyze", body, signal, sent.file, sent.type)) {
        if (event.stage) {
          say(stage(event));
          bar.max = event.total;
          bar.value = event.done;
        } else {
          fill(results, analysis(event, event.text ?? sent.text));
          say(summary(event));
        }
      }
    } finally {
      bar.hidden = true;
      results.removeAttribute("aria-busy");
    }
  });
  file.addEventListener("change", tell);
}

function stage({ stage: name, done, total }) {
  if (name === "map") return `The model has read ${done} of ${count(total, "part")} …`;
  return name === "read" ? "The text is divided; the model reads …" : "The model summarises …";
}

function summary(result) {
  const found = result.key_findings ? `${count(result.key_findings.findings.length, "finding")}, ` : "";
  const { score } = result.quality;
  const reported = score ? `${score.addressed} of ${count(score.expected, "reporting criterion", "reporting criteria")} addressed` : "reporting cannot be judged";
  return `The analysis is there: ${found}${reported}, ${count(result.statistics.length, "test")} recomputed.`;
}

function wanted(form) {
  const types = [...form.querySelectorAll("[name=analysis_type]:checked")].map((box) => box.value);
  if (!types.length) throw new Problem("Tell of what: tick one at least.", "analysis_type");
  return { analysis_type: types, use_model: !form.elements.rules_only.checked };
}

/** What was chosen or pasted: as a field with its text, or as a file that is sent as it is. */
async function given(pasted, file) {
  if (file && formatOf(file).type) return { file, type: formatOf(file).type, fields: {} };
  if (!file && !pasted.value.trim()) throw new Problem("Paste the text of a paper, or choose a file.", "text");
  const text = file ? await file.text() : pasted.value;
  const format = file ? formatOf(file) : FORMATS.find((each) => each.begins?.test(text));
  return { text, fields: { [format.field]: text } };
}

/** By its name; a name that says nothing is taken for text, and the server says if it is none. */
const formatOf = (file) => FORMATS.find((each) => each.ends.some((end) => file.name.toLowerCase().endsWith(end))) ?? FORMATS.at(-1);

function chosenFile(form, file) {
  const line = find("#paper-chosen", form);
  const tell = () => {
    const [one] = file.files;
    line.hidden = !one;
    if (one) find("span", line).textContent = `${one.name}, ${Math.ceil(one.size / 1000)} kB, is read as ${formatOf(one).name} instead of the text above.`;
  };
  find("button", line).addEventListener("click", () => {
    file.value = "";
    tell();
    file.focus();
  });
  return tell;
}
