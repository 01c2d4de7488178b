// The page: what is served, which tab is open, and the three forms.

import { ask } from "./ask.js";
import { compare } from "./compare.js";
import { el, fill, find } from "./dom.js";
import { paper } from "./paper.js";
import { Problem, get } from "./requests.js";

const LOOK = 10_000; // milliseconds between two looks at a server that does not serve yet

async function served() {
  try {
    const [health, models] = await Promise.all([get("api/v1/health"), get("v1/models")]);
    const ready = health.status === "ok";
    fill(find("#served"), el("span", { class: ready ? "dot ok" : "dot", "aria-hidden": "true" }), el("strong", {}, health.model), ` ${described(health)}`);
    offer(models.data);
    if (!ready) setTimeout(served, LOOK);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    fill(find("#served"), el("span", { class: "dot", "aria-hidden": "true" }), error.message);
    setTimeout(served, LOOK);
  }
}

function described(health) {
  if (health.status !== "ok") return `does not answer yet: ${health.why}`;
  const { method } = health.quantization;
  const effect = health.adapter_effect ? `, adapter changes logits by up to ${health.adapter_effect.maxAbsLogitDelta.toPrecision(2)}` : "";
  return `is ready on ${health.device}, ${method === "none" ? "not quantised" : method}${effect}`;
}

/** Let every list of models have these; what was chosen stays. */
function offer(models) {
  for (const select of document.querySelectorAll("[data-models]")) {
    const before = select.value;
    fill(select, models.map((model, place) => el("option", { value: model.id }, labelled(model, place))));
    select.selectedIndex = select.dataset.models === "last" ? models.length - 1 : 0;
    if (models.some((model) => model.id === before)) select.value = before;
  }
}

function labelled(model, place) {
  if (place === 0) return `${model.id} (what is served)`;
  return model.parent === null ? `${model.id} (without adapter)` : model.id;
}

/** As the tabs pattern of ARIA has it: arrows, Home and End move, and the address says which tab is open. */
function tabs(list) {
  const all = [...list.querySelectorAll("[role=tab]")];
  const open = (tab) => {
    for (const each of all) {
      each.setAttribute("aria-selected", each === tab);
      each.tabIndex = each === tab ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = each !== tab;
    }
  };
  const named = () => all.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash);
  const chosen = (tab) => {
    open(tab);
    history.replaceState(null, "", `#${tab.getAttribute("aria-controls")}`);
  };
  list.addEventListener("click", (event) => all.includes(event.target) && chosen(event.target));
  list.addEventListener("keydown", (event) => {
    const at = all.indexOf(event.target);
    const to = { ArrowRight: (at + 1) % all.length, ArrowLeft: (at + all.length - 1) % all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    chosen(all[to]);
    all[to].focus();
  });
  addEventListener("hashchange", () => named() && open(named()));
  if (named()) open(named());
}

tabs(find("[role=tablist]"));
ask(find("#ask"));
paper(find("#paper"));
compare(find("#compare"));
served();
