// Asks the server what changed, and changes only that in the page. Every text is set as text, never as markup.
const POLL_SECONDS = 2;
const at = (id) => document.getElementById(id);
const make = (tag, css, text) => {
  const element = document.createElement(tag);
  if (css) element.className = css;
  if (text !== undefined && text !== null) element.textContent = text;
  return element;
};
const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const number = (value, digits) => (value === null || value === undefined ? "" : value.toFixed(digits));
const points = (value) => number(value === null || value === undefined ? value : 100 * value, 1);
const plural = (count, one, several) => `${count.toLocaleString("en")} ${count === 1 ? one : several}`;

function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const runs = new Map(); // name -> its row of the answer, with the elements that show it
let version = "";
let shownReport = document.querySelector("meta[name=crosslift-report]").content;

// ------------------------------------------------------------------------------------------------------- all runs

function lossesText(losses) {
  return Object.entries(losses).map(([tag, loss]) => `${tag}\u00a0${number(loss, 3)}`).join(" ");
}

function meanScore(row) {
  const means = Object.values(row.scores).flatMap((byLanguage) => Object.values(byLanguage)).filter((value) => value !== null);
  return means.length ? means.reduce((sum, value) => sum + value, 0) / means.length : null;
}

function unscoredShare(row) {
  const count = Object.values(row.unscored).reduce((sum, value) => sum + value, 0);
  return row.num_answers ? count / row.num_answers : null;
}

function createRow(row) {
  const line = make("tr");
  const name = make("th", "name");
  name.scope = "row";
  const button = make("button", "", row.run);
  button.type = "button";
  button.addEventListener("click", () => openDetails(row.run));
  name.append(button);
  const cells = ["state", "number", "number", "number", "losses", "number", "number"].map((css) => make("td", css));
  line.append(name, ...cells);
  return { line, cells };
}

function showRow(row, parts) {
  const [state, steps, evaluations, loss, losses, score, unscored] = parts.cells;
  state.className = `state ${row.state.replace(" ", "-")}`;
  say(state, row.phase ? `${row.state}: ${row.phase}` : row.state);
  say(steps, row.num_steps ? `${row.step} / ${row.num_steps}` : "");
  say(evaluations, row.num_evaluations ? `${row.evaluations} / ${row.num_evaluations}` : "");
  say(loss, number(row.loss, 3));
  say(losses, lossesText(row.losses));
  say(score, points(meanScore(row)));
  const share = unscoredShare(row);
  say(unscored, share === null ? "" : `${(100 * share).toFixed(0)}%`);
}

function filterRows() {
  const wanted = at("find").value.toLowerCase();
  const state = at("state").value;
  let shown = 0;
  for (const { row, parts } of runs.values()) {
    const fits = row.run.toLowerCase().includes(wanted) && (!state || row.state === state);
    parts.line.hidden = !fits;
    shown += fits;
  }
  say(at("num-shown"), `${shown.toLocaleString("en")} of ${plural(runs.size, "run", "runs")}`);
}

// ------------------------------------------------------------------------------------------------------- progress

function pairs(entries) {
  const list = make("dl");
  for (const [name, value] of entries) {
    const part = make("div");
    part.append(make("dt", "", name), make("dd", "", value));
    list.append(part);
  }
  return list;
}

function showActive() {
  const active = [...runs.values()].map(({ row }) => row).filter((row) => row.state === "running");
  at("active").replaceChildren(...active.map((row) => {
    const card = make("div", "card");
    const bar = make("progress");
    const training = !row.phase.startsWith("evaluating");
    bar.max = (training ? row.num_steps : row.num_evaluations) || 1;
    bar.value = training ? row.step : row.evaluations;
    bar.setAttribute("aria-label", `${row.run}: ${training ? "steps" : "evaluations"}`);
    const loss = row.loss === null ? "" : `, loss ${number(row.loss, 3)}`;
    const speed = row.speed ? `, ${Math.round(row.speed).toLocaleString("en")} tokens/s` : "";
    const done = training ? `step ${row.step} of ${row.num_steps}` : `${row.evaluations} of ${row.num_evaluations} evaluations`;
    card.append(make("b", "", row.run), make("span", "", `${row.phase}, ${done}${loss}${training ? speed : ""}`), bar);
    card.append(pairs(Object.entries(row.losses).map(([tag, value]) => [tag, number(value, 3)])));
    return card;
  }));
}

function showSummary(summary) {
  const count = (what) => summary.counts[what] ?? 0;
  say(at("num-done"), count("done").toLocaleString("en"));
  say(at("of-runs"), `of ${plural(summary.num_runs, "run", "runs")} done`);
  say(at("num-running"), count("running").toLocaleString("en"));
  say(at("num-failed"), count("failed").toLocaleString("en"));
  say(at("share"), `${Math.floor(100 * summary.share)}%`);
  say(at("time-left"), count("done") === summary.num_runs ? "–" : count("running") ? (summary.seconds_left === null ? "measuring" : duration(summary.seconds_left)) : "–");
  at("whole").value = summary.share;
  const unread = summary.unread ? ` Scores of ${plural(summary.unread, "run is", "runs are")} still being read.` : "";
  say(at("connection"), `As of ${new Date().toLocaleTimeString("en-GB")}.${unread}`);
  at("problem").hidden = !summary.problem;
  say(at("problem"), summary.problem ? `The study file has a problem; the page shows the study as it was. ${summary.problem}` : "");
  const words = `${count("done")} of ${summary.num_runs} runs done, ${count("failed")} failed`;
  say(at("announcement"), words);
  document.title = `${count("done")}/${summary.num_runs} · ${document.title.replace(/^\d+\/\d+ · /, "")}`;
  for (const state of Object.keys(summary.counts)) {
    if (![...at("state").options].some((option) => option.value === state)) at("state").append(new Option(state, state));
  }
  showReportNote(summary, count("done") === summary.num_runs);
}

function showReportNote(summary, finished) {
  if (summary.report && !shownReport) { location.reload(); return; }
  const isNew = summary.report && summary.report !== shownReport;
  let text = "";
  if (isNew) text = "The report has been written again since this page was opened.";
  else if (shownReport && !finished) text = "The report below does not contain the runs that are not done.";
  else if (!shownReport && finished) text = "All runs are done. The report appears here when crosslift run or crosslift report has written it.";
  at("report-note").hidden = !text;
  say(at("report-note").querySelector("span"), text);
  at("reload").hidden = !isNew;
}

// --------------------------------------------------------------------------------------------------- first scores

function showScores() {
  const tables = new Map(); // evaluation -> condition -> language -> values
  for (const { row } of runs.values()) {
    for (const [evaluation, byLanguage] of Object.entries(row.scores)) {
      const conditions = tables.get(evaluation) ?? tables.set(evaluation, new Map()).get(evaluation);
      const name = `${row.mixture}\n${row.model}`;
      const condition = conditions.get(name) ?? conditions.set(name, { runs: 0, languages: new Map() }).get(name);
      condition.runs += 1;
      for (const [tag, value] of Object.entries(byLanguage)) {
        if (value === null) continue;
        const values = condition.languages.get(tag) ?? condition.languages.set(tag, []).get(tag);
        values.push(value);
      }
    }
  }
  if (!tables.size) return;
  at("scores-tables").replaceChildren(...[...tables].map(([evaluation, conditions]) => {
    const tags = [...new Set([...conditions.values()].flatMap(({ languages }) => [...languages.keys()]))];
    const figure = make("figure", "table");
    const caption = make("figcaption", "caption", evaluation);
    const scroll = make("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `First scores: ${evaluation}`);
    const table = make("table", "matrix");
    const head = make("tr");
    const named = (text, css) => { const cell = make("th", css, text); cell.scope = "col"; return cell; };
    head.append(named("mixture", "name"), named("runs", "number"), ...tags.map((tag) => named(tag, "number")));
    const body = make("tbody");
    for (const [name, { runs: count, languages }] of conditions) {
      const [mixture, model] = name.split("\n");
      const line = make("tr");
      const first = make("th", "name");
      first.scope = "row";
      first.append(make("span", "", mixture), make("small", "", model));
      line.append(first, make("td", "number", count));
      for (const tag of tags) {
        const values = languages.get(tag);
        line.append(make("td", "number", values ? points(values.reduce((sum, value) => sum + value, 0) / values.length) : "–"));
      }
      body.append(line);
    }
    const top = make("thead");
    top.append(head);
    table.append(top, body);
    scroll.append(table);
    figure.append(caption, scroll);
    return figure;
  }));
}

// ------------------------------------------------------------------------------------------------------- failures

function opener(name) {
  const button = make("button", "action", "Show its log and answers");
  button.type = "button";
  button.dataset.run = name;
  button.addEventListener("click", () => openDetails(name));
  return button;
}

function showFailures() {
  const rows = [...runs.values()].map(({ row }) => row);
  const failed = rows.filter((row) => row.message && ["failed", "damaged", "changed"].includes(row.state));
  const shown = failed.slice(0, 50);
  const focused = document.activeElement?.dataset?.run;
  if (failed.length) {
    at("failures-list").replaceChildren(...shown.map((row) => {
      const part = make("div", "failure");
      part.append(make("b", "", row.run), make("p", "", `${row.state}: ${row.message}`), opener(row.run));
      return part;
    }));
    if (failed.length > shown.length) at("failures-list").append(make("p", "lede", `and ${failed.length - shown.length} more; choose the state above to list them.`));
  } else at("failures-list").replaceChildren(make("p", "absent", "No run has failed."));
  const worst = rows.filter((row) => unscoredShare(row)).sort((a, b) => unscoredShare(b) - unscoredShare(a)).slice(0, 12);
  if (worst.length) {
    at("unscored-list").replaceChildren(...worst.map((row) => {
      const part = make("div", "failure");
      const kinds = Object.entries(row.unscored).map(([what, count]) => `${count.toLocaleString("en")} ${what.replace("_", " ")}`).join(", ");
      part.append(make("b", "", row.run), make("p", "", `${kinds} of ${plural(row.num_answers, "answer", "answers")}`), opener(row.run));
      return part;
    }));
  } else at("unscored-list").replaceChildren(make("p", "absent", "None so far."));
  if (focused) document.querySelector(`#failed-runs [data-run="${CSS.escape(focused)}"]`)?.focus();
}

// ---------------------------------------------------------------------------------------------- details of one run

let opened = null;

async function openDetails(name) {
  opened = name;
  at("details").hidden = false;
  say(at("details-title"), name);
  at("details").scrollIntoView({ block: "nearest" });
  at("details").focus({ preventScroll: true });
  await refreshDetails();
}

async function refreshDetails() {
  const name = opened;
  const answer = await fetch(`run?name=${encodeURIComponent(name)}`, { cache: "no-store" });
  if (!answer.ok || opened !== name) return;
  const found = await answer.json();
  const parts = [];
  if (found.error) parts.push(Object.assign(make("p", "alarm", found.error)));
  if (found.curve.step?.length) parts.push(...curve(found.curve));
  if (found.results.length) parts.push(results(found.results));
  parts.push(...found.samples.map(sample));
  if (found.log) {
    const details = make("details", "run");
    details.open = at("details-body").querySelector("details.run")?.open ?? Boolean(found.error);
    details.append(make("summary", "", "End of log.txt"), make("pre", "log", found.log));
    parts.push(details);
  }
  if (!parts.length) parts.push(make("p", "absent", "Nothing yet."));
  at("details-body").replaceChildren(...parts);
}

function closeDetails() {
  const button = runs.get(opened)?.parts.line.querySelector("button");
  opened = null;
  at("details").hidden = true;
  button?.focus();
}

function curve(table) {
  const steps = table.step;
  const names = Object.keys(table).filter((name) => name !== "step");
  const values = names.flatMap((name) => table[name]).filter((value) => value !== null);
  const most = Math.max(...values) || 1;
  const last = steps[steps.length - 1];
  const first = steps[0];
  const [width, height, left, bottom] = [720, 240, 44, 24];
  const x = (step) => left + ((step - first) / (last - first || 1)) * (width - left - 8);
  const y = (loss) => 8 + (1 - loss / most) * (height - bottom - 8);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const draw = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    svg.append(element);
  };
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "curve");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Training loss from step ${first} to step ${last}, in nats per token`);
  for (const share of [0, 0.5, 1]) {
    draw("line", { x1: left, x2: width - 8, y1: y(most * share), y2: y(most * share) });
    draw("text", { x: left - 6, y: y(most * share) + 4, "text-anchor": "end" }, number(most * share, 2));
  }
  draw("text", { x: left, y: height - 6 }, `step ${first}`);
  draw("text", { x: width - 8, y: height - 6, "text-anchor": "end" }, `step ${last}`);
  const style = (place) => (place < 0 ? "all" : `c${place % 7}${place >= 7 ? " dashed" : ""}`);
  const legend = make("ul", "legend");
  const languages = names.filter((name) => name !== "all");
  for (const name of names) {
    const css = style(name === "all" ? -1 : languages.indexOf(name));
    const places = table[name].map((loss, index) => [steps[index], loss]).filter(([, loss]) => loss !== null);
    draw("path", { class: css, d: places.map(([step, loss], index) => `${index ? "L" : "M"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`).join("") });
    const entry = make("li");
    entry.append(make("i", css), `${name === "all" ? "all languages" : name} ${places.length ? number(places[places.length - 1][1], 3) : ""}`);
    legend.append(entry);
  }
  return [make("h3", "", "Training loss (nats per token)"), svg, legend];
}

function results(found) {
  const part = make("div", "result");
  part.append(make("h3", "", "Scores"));
  part.append(pairs(found.map((one) => {
    const unscored = Object.entries(one.counts).filter(([what]) => what !== "scored").map(([what, count]) => `${count} ${what.replace("_", " ")}`);
    return [`${one.evaluation}.${one.language}`, `${one.mean === null ? "–" : points(one.mean)}${unscored.length ? ` (${unscored.join(", ")})` : ""}`];
  })));
  return part;
}

function sample(one) {
  const part = make("div", `sample ${one.kind}`);
  const which = make("div", "which");
  which.append(make("b", "", one.language), make("span", "", `${one.evaluation} ${one.item}`), make("span", "kind", one.kind.replace("_", " ")));
  const texts = [["prompt", one.prompt], ["text", one.text || "(empty)"]].map(([css, text]) => {
    const block = make("pre", css, text);
    block.dir = "auto";
    block.lang = one.language;
    return block;
  });
  part.append(which, ...texts);
  if (one.answer !== null) part.append(make("p", "gold", `expected ${one.answer}`));
  return part;
}

// -------------------------------------------------------------------------------------------------------- polling

async function look() {
  const answer = await fetch(`changes?since=${encodeURIComponent(version)}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(await answer.text());
  const found = await answer.json();
  if (found.all) { runs.clear(); at("rows").replaceChildren(); }
  const added = [];
  for (const row of found.runs) {
    const known = runs.get(row.run);
    const parts = known ? known.parts : createRow(row);
    runs.set(row.run, { row, parts });
    showRow(row, parts);
    if (!known) added.push({ row, parts });
  }
  added.sort((a, b) => a.row.place - b.row.place);
  at("rows").append(...added.map(({ parts }) => parts.line));
  version = found.version;
  showSummary(found.summary);
  if (found.runs.length) {
    filterRows();
    showActive();
    showScores();
    showFailures();
    if (opened && found.runs.some((row) => row.run === opened)) await refreshDetails();
  }
}

async function poll() {
  try { await look(); } catch (error) {
    say(at("connection"), `Nothing new: ${error instanceof TypeError ? "crosslift view has ended or cannot be reached" : error.message}`);
  }
  setTimeout(poll, (document.hidden ? 5 : 1) * POLL_SECONDS * 1000);
}

at("find").addEventListener("input", filterRows);
at("state").addEventListener("change", filterRows);
at("close").addEventListener("click", closeDetails);
at("reload").addEventListener("click", () => location.reload());
addEventListener("keydown", (event) => { if (event.key === "Escape" && opened) closeDetails(); });
poll();
