// What the server's terms mean, in words for people.

import { count } from "./dom.js";

export const SUPPORT = {
  verbatim: ["good", "repeats the sentence"],
  numbers_and_entities: ["good", "every number and every name of the claim is in the sentence"],
  lexical: ["warn", "half of the claim’s words are in the sentence: read both"],
  none: ["bad", "the sentence does not say so"],
};

export const ATTRIBUTION = {
  model_marker: "The model named this sentence.",
  post_hoc: "The model named no sentence; this one has most words in common with the claim.",
};

export const ABSTAINED = {
  no_context: "There are no texts to answer from.",
  not_in_context: "The texts do not speak of what is asked.",
  model_declined: "The model says that the texts are not enough.",
  unsupported: "The model wrote an answer, but none of its claims has support in the texts.",
};

export const CONCEPT = {
  grounded: ["good", "one entry of a table"],
  ambiguous: ["warn", "several candidates; none is picked"],
  ungrounded: ["mute", "known for what it is, in no table"],
  syntax_only: ["mute", "well formed; nothing was looked up"],
};

export const SCOPE = {
  individual_patient: "The question is about a patient. This is for research, not for decisions about people.",
  dosing: "The question asks for a dose. A language model must not be trusted with one.",
  pathogenicity: "The question asks whether a variant is harmful. No variant is classified here.",
};

export const CRITERION = {
  addressed: ["good", "addressed"],
  addressed_negative: ["mute", "says it was not done"],
  not_found: ["warn", "not found"],
  not_applicable: ["mute", "not expected"],
  not_assessable: ["mute", "cannot be said"],
};

export const DECISION = {
  consistent: ["good", "fits"],
  inconsistent: ["warn", "does not fit"],
  decision_error: ["bad", "does not fit, and significance depends on it"],
};

export const DROPPED = {
  no_evidence: "names no sentence",
  unknown_sentence: "names a sentence that it was not shown",
  unsupported_numbers: "has numbers that its sentences do not have",
  unfound_quotation: "quotes what the paper does not say",
  unreadable: "is not in the form that was asked for",
  cut_off: "is the end of an answer that was cut off",
};

/** "0.61"; "–" for no number. */
export const rounded = (number, digits = 2) => (typeof number === "number" ? number.toFixed(digits) : "–");

/** A p-value as it would be printed. */
export const pValue = (p) => (p < 0.001 ? "< 0.001" : p.toPrecision(2));

const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** A confidence: its figure, whether it is calibrated, and sentences that say what it is and what it is not. */
export function confidence(told, answer) {
  const evidence = told.evidence ?? {};
  const sentences = [];
  if (told.value === null) {
    sentences.push(told.interpretation ? `There is no figure: ${told.interpretation}.` : "There is no figure.");
  } else if (told.method === "sequence_logprob") {
    sentences.push(
      `Word by word, the model gave what it wrote a probability of ${rounded(told.value)} (the geometric mean over its tokens).`,
      "It sorts answers: compare it with that of another answer of the same model.",
    );
  } else if (told.method === "choice_softmax") {
    sentences.push(
      `Of the options given, the model puts ${rounded(100 * told.value, 0)} % of its weight on “${answer}”.`,
      "An option that was not given has no share in it.",
    );
  } else if (told.method === "answer_frequency") {
    sentences.push(`${told.agreeing} of ${told.samples} answers to the same question said the same; this is one of them.`);
  } else {
    sentences.push(`By ${told.method.replaceAll("_", " ")}: ${told.interpretation}.`);
  }
  if (told.value !== null) {
    if (told.calibration_mismatch) sentences.push(`${sentence(told.interpretation)}.`);
    sentences.push(
      told.calibrated
        ? `Calibrated: ${told.interpretation}.`
        : `Not calibrated: nobody has measured how often answers with such a figure are right. It is no ${rounded(100 * told.value, 0)} % chance of being right.`,
    );
  }
  if (evidence.claims && evidence.context_present) {
    sentences.push(`${evidence.supported_claims} of ${count(evidence.claims, "claim")} share words, numbers or names with a sentence of your texts.`);
  } else if (evidence.claims) {
    sentences.push("No texts were given: nothing that it says was compared with anything.");
  }
  return { figure: rounded(told.value), calibrated: Boolean(told.calibrated), sentences };
}

/** Tokens, seconds and the like of an answer. */
export function effort(usage, milliseconds) {
  return `${count(usage.completion_tokens, "token")} written, ${usage.prompt_tokens} read, in ${rounded(milliseconds / 1000, 1)} s`;
}
