// An answer about genes, with everything that is told of it.

import { card, count, el, facts, folded, raw, table } from "./dom.js";
import { marked, Text } from "./text.js";
import { ABSTAINED, ATTRIBUTION, CONCEPT, SCOPE, SUPPORT, confidence, effort, rounded } from "./words.js";

/** The cards of one answer; `asked` is the request, with the texts that all places are of. */
export function shown(result, asked) {
  const links = new Links();
  return [
    answered(result, links),
    asked.context.length > 0 && texts(result, asked, links),
    trust(result),
    result.citations.length > 0 && citations(result, links),
    concepts(result),
    origin(result),
  ].filter(Boolean);
}

/** Between the numbers of citations in the answer and the sentences that they cite. */
class Links {
  constructor() {
    this.marks = new Map(); // by number
    this.now = [];
  }

  chip(citation) {
    const chip = el(
      "button",
      {
        type: "button",
        class: citation.attribution === "post_hoc" ? "chip guess" : "chip",
        title: citation.cited_text,
        "aria-label": `Citation ${citation.number}, of ${citation.context_id}: ${SUPPORT[citation.support]?.[1] ?? citation.support}`,
        onclick: () => this.go(citation.number, chip),
      },
      String(citation.number),
    );
    return chip;
  }

  mark(numbers) {
    const mark = el("mark", { tabindex: "-1", "data-number": numbers.join(" "), "aria-description": "Escape leads back to the answer" });
    for (const number of numbers) this.marks.set(number, mark);
    return mark;
  }

  go(number, from) {
    const mark = this.marks.get(number);
    for (const each of this.now) each.classList.remove("is-now");
    this.now = [mark, from];
    for (const each of this.now) each.classList.add("is-now");
    mark.onkeydown = (event) => event.key === "Escape" && from.focus();
    mark.focus();
    mark.scrollIntoView({ block: "nearest" });
  }
}

const badge = ([kind, words]) => el("span", { class: `badge ${kind}` }, words);
const note = (kind, ...children) => el("p", { class: `note ${kind}` }, children);

function answered(result, links) {
  const said = result.answer ?? result.withheld_answer;
  const text = new Text(said ?? "");
  const layers = [chips(result, text, links), unverified(result), conceptMarks(result, "answer")];
  const prose = el("p", { class: "prose answer" }, result.options ? said : marked(text, said ? layers : []));
  return card(
    "Answer",
    result.scope_flags.map((flag) => note("bad", SCOPE[flag] ?? flag)),
    result.abstained
      ? [
          note("warn", el("strong", {}, "No answer. "), ABSTAINED[result.abstain_reason] ?? result.abstain_reason),
          result.withheld_answer && folded("What the model wrote without support", prose),
        ]
      : prose,
    result.truncated && note("warn", "The answer was cut off: it reached the longest length that was allowed."),
    result.options && weighed(result.options),
    result.parsed?.status === "failed" && note("warn", `The model wrote no list: ${result.parsed.why}.`),
    result.items && items(result),
    result.unsupported_claims.length > 0 &&
      folded(
        `${count(result.unsupported_claims.length, "claim")} that no sentence supports`,
        el("ul", { class: "plain" }, result.unsupported_claims.map((each) => el("li", { class: "prose" }, each.text))),
      ),
    result.unverified_identifiers.length > 0 &&
      note(
        "bad",
        el("strong", {}, "Look these up before you use them: "),
        result.unverified_identifiers.map((each) => each.text).join(", "),
        ". The model wrote them; neither the question nor your texts have them. Models make such identifiers up.",
      ),
    result.dropped_citations.length > 0 &&
      note("warn", "Citations that lead nowhere: ", result.dropped_citations.map((each) => `${each.raw} (${each.reason})`).join(", "), "."),
  );
}

function items(result) {
  const support = (each) => badge(each.supported ? ["good", "supported"] : ["warn", "no support"]);
  return table(
    "The list, one by one",
    ["Item", "Support", "Citations"],
    result.items.map((each) => [[each.text, each.cut_off && el("p", { class: "meta" }, "cut off")], support(each), each.citations.join(", ") || "–"]),
  );
}

function weighed(options) {
  return table(
    "How the model divides its weight among the options",
    ["Option", "Share", "Log-probability of a token"],
    options.map((each) => [
      each.text,
      [
        el("meter", { min: "0", max: "1", value: String(each.probability_among_options), "aria-label": `Share of ${each.text}` }),
        ` ${rounded(100 * each.probability_among_options, 1)} %`,
      ],
      rounded(each.mean_logprob),
    ]),
  );
}

/** Numbers in the place of the model's markers; after a claim, where the server looked for the likest sentence. */
function chips(result, text, links) {
  const groups = new Map();
  for (const citation of result.citations) {
    const key = [citation.answer_start, citation.answer_end, citation.marker].join();
    groups.set(key, [...(groups.get(key) ?? []), citation]);
  }
  return [...groups.values()].map((group) => {
    const [{ answer_start: start, answer_end: end, marker }] = group;
    const place = marker === null ? null : text.place(marker, start, end);
    return { ...(place ?? { start: end, end }), instead: true, node: () => el("span", {}, group.map((each) => links.chip(each))) };
  });
}

function unverified(result) {
  return result.unverified_identifiers.map(({ start, end, why }) => ({ start, end, node: () => el("span", { class: "unverified", title: why }) }));
}

function conceptMarks(result, where) {
  return result.concepts.flatMap((concept) =>
    concept.mentions
      .filter((mention) => mention.in === where)
      .map(({ start, end }) => ({ start, end, node: () => el("span", { class: `concept ${concept.type}`, title: titled(concept) }) })),
  );
}

function titled(concept) {
  const known = concept.normalized ? `${concept.normalized.name} (${concept.normalized.id})` : concept.text;
  return `${concept.type}: ${known}, ${CONCEPT[concept.status]?.[1] ?? concept.status}`;
}

function citations(result, links) {
  const items = result.citations.map((each) =>
    el(
      "li",
      { class: "stack" },
      el("p", {}, links.chip(each), " ", el("strong", {}, each.context_id), " ", badge(SUPPORT[each.support] ?? ["mute", each.support])),
      el("blockquote", {}, el("p", { class: "prose" }, each.cited_text)),
      el("p", { class: "meta" }, ATTRIBUTION[each.attribution] ?? each.attribution),
    ),
  );
  return card("Citations", el("p", { class: "hint" }, "Words, numbers and names were compared, not meaning. Read the sentence."), el("ol", { class: "plain" }, items));
}

function texts(result, asked, links) {
  const shownTexts = asked.context.map((document) => {
    const usage = result.context_usage.find((each) => each.id === document.id);
    const left = usage.left_out.map(([start, end]) => ({
      start,
      end,
      node: () => el("span", { class: "left-out", title: "There was no room to show this sentence to the model" }),
    }));
    const layers = [[...citedIn(result, document.id, links), ...left], conceptMarks(result, `context:${document.id}`)];
    return el(
      "section",
      { class: "stack" },
      el("h4", {}, document.id),
      el("p", { class: usage.truncated ? "note warn" : "meta" }, `The model was shown ${usage.used_sentences} of ${count(usage.sentences, "sentence")}.`),
      el("div", { class: "text prose", tabindex: "0", role: "region", "aria-label": `Text ${document.id}` }, marked(new Text(document.text), layers)),
    );
  });
  return card("Your texts", shownTexts);
}

function citedIn(result, name, links) {
  const places = new Map();
  for (const { context_id: id, start, end, number } of result.citations) {
    if (id !== name) continue;
    const place = places.get(`${start} ${end}`) ?? { start, end, numbers: [] };
    place.numbers.push(number);
    places.set(`${start} ${end}`, place);
  }
  return [...places.values()].map(({ start, end, numbers }) => ({ start, end, node: () => links.mark(numbers) }));
}

function trust(result) {
  const told = confidence(result.confidence, result.answer);
  return card(
    "Confidence",
    el(
      "div",
      { class: "beside" },
      el(
        "div",
        { class: "stack" },
        el("p", { class: "figure" }, told.figure),
        el("p", {}, badge(told.calibrated ? ["good", "calibrated"] : ["mute", "not calibrated"])),
      ),
      el("div", { class: "stack" }, told.sentences.map((sentence) => el("p", {}, sentence))),
    ),
    result.confidence.calibration && folded("How it was calibrated", facts(result.confidence.calibration)),
  );
}

function concepts(result) {
  if (!result.concepts.length) return card("Concepts", el("p", { class: "meta" }, "Nothing was named that a table or a rule knows."));
  const rows = result.concepts.map((each) => [
    [el("span", { class: `swatch ${each.type}` }), each.text],
    each.type,
    badge(CONCEPT[each.status] ?? ["mute", each.status]),
    [
      each.normalized ? `${each.normalized.id} ${each.normalized.name}` : each.variant ? each.variant.canonical : "–",
      each.candidates.length > 0 && el("p", { class: "meta" }, `Candidates: ${each.candidates.map((one) => `${one.name} (${one.id})`).join(", ")}`),
      each.notes.map((one) => el("p", { class: "meta" }, one)),
    ],
    where(each),
  ]);
  return card("Concepts", table("What is named, and where; each kind has its colour in the texts", ["Name", "Kind", "Status", "Identifier", "Where"], rows));
}

function where(concept) {
  const times = new Map();
  for (const { in: name } of concept.mentions) times.set(name, (times.get(name) ?? 0) + 1);
  return [...times].map(([name, number]) => `${name.replace("context:", "")}${number > 1 ? ` ×${number}` : ""}`).join(", ");
}

function origin(result) {
  return card(
    "Where this comes from",
    el("p", { class: "meta" }, `${result.model}: ${effort(result.usage, result.timing_ms.total)}.`),
    folded("Provenance, for the methods section", facts(result.provenance)),
    result.prompt !== null && folded("What the model was asked", el("pre", { class: "text", tabindex: "0", role: "region", "aria-label": "The prompt" }, result.prompt)),
    raw(result),
    el("p", { class: "note" }, result.notice.text),
  );
}
