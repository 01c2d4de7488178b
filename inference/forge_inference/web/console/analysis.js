// The analysis of a paper. Every quotation leads to its place in the text.

import { card, count, el, facts, fill, folded, raw, table } from "./dom.js";
import { marked, Text } from "./text.js";
import { CRITERION, DECISION, DROPPED, effort, pValue, rounded } from "./words.js";

/** The cards of one analysis; `text` is what its places are of. */
export function analysis(result, text) {
  const source = new Source(text);
  const cards = [
    result.summary && summary(result.summary, source),
    result.key_findings && card("Key findings", stated(result.key_findings.findings, source, "The model stated none that could be verified.")),
    result.limitations && limitations(result.limitations, source),
    result.methodology && methodology(result.methodology, source),
    result.benchmarks && benchmarks(result.benchmarks, source),
    quality(result.quality, source),
    statistics(result.statistics, source),
    source.card,
    origin(result, source),
  ];
  return cards.filter(Boolean);
}

/** The text, with the one quotation that is looked at. */
class Source {
  constructor(text) {
    this.text = new Text(text);
    this.box = el("div", { class: "text prose", tabindex: "0", role: "region", "aria-label": "The text that was read" }, text);
    this.fold = folded(`The text, ${count(this.text.length, "character")}`, this.box);
    this.card = card("The text that was read", this.fold);
  }

  /** A quotation, with the way to its place. */
  quote({ start, end, quote, section, page }) {
    const show = el("button", { type: "button", class: "quiet", onclick: () => this.show(start, end, show), "aria-label": `Show in the text: ${quote.slice(0, 80)}` }, "Show in the text");
    return el("blockquote", {}, el("p", { class: "prose" }, quote), el("p", { class: "meta" }, section && `${section} · `, page && `page ${page} · `, show));
  }

  show(start, end, from) {
    const mark = el("mark", { class: "is-now", tabindex: "-1", "aria-description": "Escape leads back" });
    mark.onkeydown = (event) => event.key === "Escape" && from.focus();
    fill(this.box, marked(this.text, [[{ start, end, node: () => mark }]]));
    this.fold.open = true;
    mark.focus();
    mark.scrollIntoView({ block: "center" });
  }
}

const badge = ([kind, words]) => el("span", { class: `badge ${kind}` }, words);
const by = (who) => el("p", { class: "meta" }, who);
const BY_MODEL = "By the model. Each sentence it names was shown to it, and each number stands in one of them; whether they support it is yours to judge.";
const LEFT_OUT = {
  repeated_line: "a line of every page",
  page_without_text: "a page without text, as scanned ones are",
  page_too_large: "a page that is too large",
  page_damaged: "a page that is damaged",
  other_file: "another file, which was not sent",
  not_run: "a command that was not run",
};
const BY_RULE = "By rules, without the model.";

function stated(statements, source, otherwise) {
  if (!statements.length) return by(otherwise);
  const items = statements.map((each) =>
    el(
      "li",
      { class: "stack" },
      el("p", {}, each.statement, each.rests_on_author_stated && [" ", badge(["good", "the authors call it one"])]),
      folded(`Rests on ${count(each.evidence.length, "sentence")}`, each.evidence.map((one) => source.quote(one))),
    ),
  );
  return [by(BY_MODEL), el("ol", { class: "plain" }, items)];
}

function summary(told, source) {
  const from = { evidence: "Made from the sentences that its statements rest on.", first_sentences: "Made from the first sentences: no statement could be verified." };
  return card(
    "Summary",
    told.text ? el("p", { class: "answer" }, told.text) : by("The model wrote none that could be verified."),
    told.made_from && told.text && by(from[told.made_from]),
    told.sentences.length > 0 && folded("Sentence by sentence", stated(told.sentences, source)),
  );
}

function limitations(told, source) {
  const authors = told.author_stated.length
    ? el("ul", { class: "plain" }, told.author_stated.map((each) => el("li", {}, source.quote(each))))
    : by("No rule found any.");
  return card(
    "Limitations",
    el(
      "div",
      { class: "sides" },
      el("section", { class: "stack" }, el("h4", {}, "Stated by the authors"), by(BY_RULE), authors),
      told.model && el("section", { class: "stack" }, el("h4", {}, "Seen by the model"), stated(told.model, source, "None that could be verified.")),
    ),
  );
}

function methodology(told, source) {
  const rows = Object.entries(told.rule).flatMap(([kind, things]) =>
    things.map((each) => [each.value ? `${each.name}: ${each.value}` : each.name, kind.replaceAll("_", " "), source.quote(each)]),
  );
  return card(
    "Methods",
    rows.length ? table(`What rules found: ${count(rows.length, "thing")}`, ["Name", "Kind", "Where"], rows) : by("No rule found anything."),
    told.model && el("section", { class: "stack" }, el("h4", {}, "What the model says of methods"), stated(told.model, source, "Nothing that could be verified.")),
  );
}

function benchmarks(told, source) {
  const datasets = told.datasets.map((each) => [each.name, badge([each.role === "mentioned" ? "mute" : "good", each.role]), each.repository ?? each.task ?? "–", source.quote(each.spans[0])]);
  const results = told.results.map((each) => [
    each.dataset,
    each.metric,
    [each.value, each.unit === "percent" && " %"],
    [each.system ?? "–", each.ours && [" ", badge(["good", "this paper’s"])]],
    source.quote(each.row),
  ]);
  const dropped = told.dropped.map((each) => el("li", {}, el("p", {}, each.reason), source.quote(each)));
  return card(
    "Data and results",
    by(BY_RULE),
    datasets.length ? table("Data sets", ["Name", "Role", "Repository or task", "Where"], datasets) : by("No data sets were found."),
    results.length ? table("Results", ["Data set", "Metric", "Value", "System", "Where"], results) : by("No results on known benchmarks were found."),
    dropped.length > 0 && folded(`${count(dropped.length, "value")} that the metric cannot have`, el("ul", { class: "plain" }, dropped)),
  );
}

const CRITERIA = ["Criterion", "Status", "Quotation"];

function quality(told, source) {
  const rows = (isExpected) =>
    told.criteria
      .filter((each) => (each.status !== "not_applicable") === isExpected)
      .map((each) => [
        [each.label, el("p", { class: "meta" }, each.guidelines.join(", "))],
        badge(CRITERION[each.status] ?? ["mute", each.status]),
        each.evidence ? source.quote(each.evidence) : "–",
      ]);
  const [expected, others] = [rows(true), rows(false)];
  const { score } = told;
  const study = told.study.map((each) => el("li", {}, el("strong", {}, each.kind.replaceAll("_", " ")), source.quote(each.because)));
  return card(
    "Reporting",
    score
      ? el(
          "div",
          { class: "beside" },
          el("p", { class: "figure" }, `${score.addressed} of ${score.expected}`),
          el("p", {}, "criteria that are expected of such a study are addressed in the text. That is no grade: it says nothing of validity, novelty or truth."),
        )
      : el("p", { class: "note" }, `There is no score: ${told.not_assessable ?? "too few criteria are expected of such a text"}.`),
    study.length > 0 && folded("What kind of study it was taken for", el("ul", { class: "plain" }, study)),
    table("Reporting criteria, with the sentence that addresses each", CRITERIA, expected),
    others.length > 0 && folded(`${count(others.length, "criterion is", "criteria are")} not expected of such a study`, table("Not expected", CRITERIA, others)),
  );
}

function statistics(tests, source) {
  if (!tests.length) return card("Statistics", by("No test is reported with its statistic, degrees of freedom and p-value."));
  const rows = tests.map((each) => [
    `${each.test === "chi2" ? "χ²" : each.test}${each.df.length ? `(${each.df.join(", ")})` : ""} = ${each.statistic}`,
    `p ${each.reported_p}`,
    `p ${pValue(each.recomputed_p).startsWith("<") ? "" : "= "}${pValue(each.recomputed_p)}, ${each.tail}`,
    [badge(DECISION[each.decision] ?? ["mute", each.decision]), each.note && el("p", { class: "meta" }, each.note)],
    source.quote(each),
  ]);
  return card(
    "Statistics",
    by("Recomputed from what is printed. A correction for many tests makes a p-value look wrong: read the sentence first."),
    table("Reported tests", ["Test", "Reported", "Recomputed", "Does it fit?", "Where"], rows),
  );
}

const leftOut = (each) => [each.said || "–", LEFT_OUT[each.why] ?? each.why, each.pages.join(", ") || "–"];

function origin(result, source) {
  const { coverage, dropped } = result;
  const sections = coverage.sections.map((each) => [each.kind, badge(each.used ? ["good", "read"] : ["mute", "not read"]), each.reason ?? "–"]);
  const items = dropped.items.map((each) => el("li", {}, el("p", { class: "prose" }, each.raw), by(`${DROPPED[each.reason] ?? each.reason}${each.detail ? `: ${each.detail}` : ""}`)));
  return card(
    "Where this comes from",
    by(`${result.model}: ${effort(result.usage, result.timing_ms)}; ${count(coverage.model_calls, "question")} to the model.`),
    el("p", {}, `The model was shown ${coverage.sentences_shown} of ${count(coverage.sentences_total, "sentence")}; rules read all.`),
    coverage.truncated_answers > 0 && el("p", { class: "note warn" }, `${count(coverage.truncated_answers, "answer")} of the model reached the longest length: allow more tokens.`),
    result.source.left_out.length > 0 &&
      folded(`Left out of the text: ${count(result.source.left_out.length, "thing")}`, table("Left out", ["What", "Why", "Pages"], result.source.left_out.map(leftOut))),
    folded(`Sections that the model was shown, and those it was not`, table("Sections", ["Kind", "Model", "Why not"], sections)),
    coverage.sentences_too_long.length > 0 && folded("Sentences that fit into no prompt", coverage.sentences_too_long.map((each) => source.quote(each))),
    folded(`What the model wrote and is not told: ${dropped.items.length} of ${count(dropped.lines, "line")}`, items.length ? el("ul", { class: "plain" }, items) : by("Nothing.")),
    folded("Provenance, for the methods section", facts(result.provenance)),
    raw(result),
    el("p", { class: "note" }, result.notice.text),
  );
}
