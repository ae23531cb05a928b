"use strict";
/* Shows the samples that stand in this page as JSON. Everything that comes from outside is placed as text, never as markup. */
(() => {
  const SPARE = 8, LONG = 4000, PICTURE = "\ufffc";
  const KINDS = { r: ["right", "✓ right"], p: ["partly", "◐ partly"], w: ["wrong", "✗ wrong"], u: ["unscored", "– unscored"], n: ["unjudged", "answered"] };
  const $ = (id) => document.getElementById(id);
  if (!$("browser")) return;
  const index = JSON.parse($("index").textContent);
  const view = $("viewport"), canvas = $("canvas"), detail = $("detail");
  const loaded = new Map(), rows = new Map();
  let data = null, shown = [], chosen = -1, verdict = "", queued = false, ROW = 36;

  const element = (tag, kind, text) => {
    const node = document.createElement(tag);
    if (kind) node.className = kind;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  /* Addresses of a sample's pictures; null: it does not lie beside the page. */
  const pictures = (row) => (data.pictures?.of[row] ?? []).map((at) => {
    const name = data.pictures.names[at];
    return name === null ? null : $("samples").dataset.beside + name.slice(0, 2) + "/" + name.slice(2) + ".jpg";
  });
  const picture = (source, label, kind) => {
    if (source === null) return element("span", "gone", label + ": not beside this page");
    const node = element("img", kind);
    node.alt = label;
    node.decoding = "async";
    node.addEventListener("error", () => node.replaceWith(element("span", "gone", label + ": its file is gone")));
    node.src = source;
    return node;
  };
  const whole = (value) => (Array.isArray(value) ? value[0] : value);
  const number = (value) => value.toLocaleString("en");
  const word = (column, row) => (column.codes[row] < 0 ? null : column.words[column.codes[row]]);

  /* Characters that would be invisible, or turn the text around them, are shown by their code. */
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
  const code = (c) => "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  const oneLine = (value) => whole(value).slice(0, 300).replace(HIDDEN, "\u00b7").replace(/\s+/g, " ");
  const place = (node, text, needle) => {
    let last = 0;
    for (const match of text.matchAll(HIDDEN)) {
      marked(node, text.slice(last, match.index), needle);
      node.append(element("span", "ctl", code(match[0])));
      last = match.index + 1;
    }
    marked(node, text.slice(last), needle);
  };
  const marked = (node, text, needle) => {
    const low = needle ? text.toLowerCase() : "";
    let last = 0;
    /* Where lower case has another length, positions would be wrong. */
    for (let at = needle && low.length === text.length ? low.indexOf(needle) : -1; at >= 0; at = low.indexOf(needle, last)) {
      node.append(text.slice(last, at), element("mark", "", text.slice(at, at + needle.length)));
      last = at + needle.length;
    }
    node.append(text.slice(last));
  };

  const options = (select, words, all) => {
    select.replaceChildren();
    const first = element("option", "", all);
    first.value = "";
    select.append(first);
    words.forEach((text, i) => {
      const option = element("option", "", oneLine(text).slice(0, 80));
      option.value = String(i);
      select.append(option);
    });
    select.parentElement.hidden = words.length < 1;
  };

  const open = (number_) => {
    if (!loaded.has(number_)) loaded.set(number_, JSON.parse($("rows-" + number_).textContent));
    data = loaded.get(number_);
    const pictured = data.pictures !== undefined && data.pictures.names.some((name) => name !== null);
    $("grid").classList.toggle("pictured", pictured);
    ROW = pictured ? 52 : 36;
    options($("category"), data.category.words, "all");
    options($("reason"), data.reason.words, "any or none");
    $("task").value = String(number_);
    verdict = "";
    chips();
  };
  const chips = () => {
    const counts = {};
    for (const letter of data.verdicts) counts[letter] = (counts[letter] || 0) + 1;
    $("verdicts").replaceChildren();
    for (const letter of ["", "w", "p", "r", "u", "n"]) {
      if (letter && !counts[letter]) continue;
      const button = element("button", "", letter ? KINDS[letter][1] : "all");
      button.type = "button";
      button.dataset.verdict = letter;
      button.setAttribute("aria-pressed", String(letter === verdict));
      button.append(element("span", "", number(letter ? counts[letter] : data.id.length)));
      button.addEventListener("click", () => { verdict = letter; press(); filter(); });
      $("verdicts").append(button);
    }
  };
  const press = () => {
    for (const button of $("verdicts").children) button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
  };

  const needle = () => $("query").value.toLowerCase();
  const filter = () => {
    const text = needle(), category = $("category").value, reason = $("reason").value;
    const columns = ["id", "prediction", "extracted", "target", "prompt", "failure", "judge"].filter((name) => data[name]).map((name) => data[name]);
    const has = (row) => columns.some((column) => column[row] !== null && whole(column[row]).toLowerCase().includes(text));
    shown = [];
    for (let row = 0; row < data.id.length; row++) {
      if (verdict && data.verdicts[row] !== verdict) continue;
      if (category !== "" && data.category.codes[row] !== Number(category)) continue;
      if (reason !== "" && data.reason.codes[row] !== Number(reason)) continue;
      if (text && !has(row)) continue;
      shown.push(row);
    }
    $("count").textContent = shown.length === data.id.length ? number(shown.length) + " samples" : number(shown.length) + " of " + number(data.id.length) + " samples";
    $("grid").dataset.query = text;
    $("grid").setAttribute("aria-rowcount", String(shown.length + 1));
    rows.clear();
    canvas.replaceChildren();
    canvas.style.height = shown.length * ROW + "px";
    view.scrollTop = 0;
    chosen = shown.length ? 0 : -1;
    if (!shown.length) canvas.append(element("p", "empty", "No sample is like this. Take a filter away."));
    $("browser").querySelector(".panes").classList.remove("open");
    draw();
    tell();
  };

  const cell = (kind, value) => {
    const node = element("span", kind);
    node.setAttribute("role", "gridcell");
    node.dir = "auto";
    if (value === null || value === undefined) { node.classList.add("none"); node.textContent = "none"; }
    else node.textContent = oneLine(value);
    return node;
  };
  const line = (at) => {
    const row = shown[at], [kind, label] = KINDS[data.verdicts[row]];
    const node = element("div", "line");
    node.id = "sample-" + at;
    node.setAttribute("role", "row");
    node.setAttribute("aria-rowindex", String(at + 2));
    node.style.transform = "translateY(" + at * ROW + "px)";
    const score = data.score[row];
    const mark = cell("mark " + kind, kind === "partly" ? "◐ " + score : label);
    const prediction = data.prediction[row] === null && word(data.reason, row) !== null ? cell("none", word(data.reason, row)) : cell("", data.prediction[row]);
    if (ROW > 36) {
      const [first] = pictures(row), box = element("span", "thumb");
      box.setAttribute("role", "gridcell");
      if (first) box.append(picture(first, "", ""));
      node.append(box);
    }
    node.append(cell("id", data.id[row]), mark, prediction, cell("", data.extracted[row]), cell("", data.target[row]), cell("none", word(data.category, row) ?? ""));
    node.addEventListener("click", () => { choose(at); reveal(); });
    return node;
  };
  const draw = () => {
    queued = false;
    const first = Math.max(0, Math.floor(view.scrollTop / ROW) - SPARE);
    const last = Math.min(shown.length, Math.ceil((view.scrollTop + view.clientHeight) / ROW) + SPARE);
    for (const [at, node] of rows) if (at < first || at >= last) { node.remove(); rows.delete(at); }
    for (let at = first; at < last; at++) {
      if (!rows.has(at)) { const node = line(at); rows.set(at, node); canvas.append(node); }
      rows.get(at).setAttribute("aria-selected", String(at === chosen));
    }
    if (rows.has(chosen)) view.setAttribute("aria-activedescendant", "sample-" + chosen);
    else view.removeAttribute("aria-activedescendant");
  };
  const choose = (at) => {
    chosen = Math.min(Math.max(at, 0), shown.length - 1);
    if (chosen < 0) return;
    const top = chosen * ROW;
    if (top < view.scrollTop) view.scrollTop = top;
    if (top + ROW > view.scrollTop + view.clientHeight) view.scrollTop = top + ROW - view.clientHeight;
    draw();
    tell();
  };
  const reveal = () => {
    $("browser").querySelector(".panes").classList.add("open");
    if (getComputedStyle(detail.querySelector(".close")).display !== "none") detail.focus();
  };
  const hide = () => { $("browser").querySelector(".panes").classList.remove("open"); view.focus(); };

  const block = (into, title, value) => {
    const box = element("div"), text = element("div", "text");
    text.dir = "auto";
    box.append(element("h4", "", title), text);
    into.append(box);
    if (value === null || value === undefined) { text.append(element("span", "none", "none")); return; }
    const full = whole(value);
    place(text, full.slice(0, LONG), needle());
    if (full === "") text.append(element("span", "none", "empty"));
    if (full.length > LONG) {
      const more = element("button", "more", "Show all " + number(full.length) + " characters");
      more.type = "button";
      more.addEventListener("click", () => { text.replaceChildren(); place(text, full, needle()); more.remove(); });
      box.append(more);
    }
    if (Array.isArray(value)) box.append(element("p", "hint", "Cut here: " + number(value[1]) + " characters in all."));
  };
  /* What the model was shown: the text, with each picture where it stood. */
  const asked = (row) => {
    const sources = pictures(row), value = data.prompt[row];
    if (!sources.length || value === null) { block(detail, "Prompt", value); return; }
    const box = element("div", "text prompt");
    box.dir = "auto";
    const pieces = whole(value).split(PICTURE);
    const last = Math.max(pieces.length - 1, sources.length);
    for (let at = 0; at <= last; at++) {
      const piece = (pieces[at] ?? "").replace(/^\n|\n$/g, "");
      if (piece) { const part = element("div"); place(part, piece, needle()); box.append(part); }
      if (at < sources.length) box.append(framed(sources, at));
    }
    detail.append(element("h4", "", "Prompt"), box);
    if (Array.isArray(value)) detail.append(element("p", "hint", "Cut here: " + number(value[1]) + " characters in all."));
  };
  const framed = (sources, at) => {
    const label = sources.length > 1 ? "picture " + (at + 1) + " of " + sources.length : "picture";
    if (sources[at] === null) return picture(null, label);
    const button = element("button", "frame");
    button.type = "button";
    button.title = "Show it large";
    button.append(picture(sources[at], label, ""));
    button.addEventListener("click", () => enlarge(sources[at], label));
    return button;
  };
  const enlarge = (source, label) => {
    const dialog = $("large");
    dialog.replaceChildren(picture(source, label, ""));
    dialog.showModal();
  };
  $("large").addEventListener("click", () => $("large").close());
  const tell = () => {
    detail.replaceChildren();
    detail.scrollTop = 0;
    if (chosen < 0) return;
    const row = shown[chosen], [kind, label] = KINDS[data.verdicts[row]];
    const head = element("header"), name = element("h3"), close = element("button", "close link", "Back");
    close.type = "button";
    close.addEventListener("click", hide);
    place(name, whole(data.id[row]), "");
    head.append(name, element("span", "mark " + kind, label), close);
    const facts = element("p", "facts");
    const score = data.score[row], reason = word(data.reason, row), category = word(data.category, row);
    if (score !== null) facts.append(element("span", "", "score " + score));
    if (reason !== null) facts.append(element("span", "", "reason: " + oneLine(reason)));
    if (category !== null) facts.append(element("span", "", "category: " + oneLine(category)));
    const pair = element("div", "pair");
    detail.append(head, facts);
    if (data.prompt) asked(row);
    if (data.failure && data.failure[row] !== null) block(detail, "Failure", data.failure[row]);
    if (data.judge && data.judge[row] !== null) block(detail, "Judge", data.judge[row]);
    block(detail, "Prediction", data.prediction[row]);
    block(pair, "Extracted", data.extracted[row]);
    block(pair, "Target", data.target[row]);
    detail.append(pair);
  };

  const moves = () => ({ ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: Math.floor(view.clientHeight / ROW) - 1, PageUp: 1 - Math.floor(view.clientHeight / ROW), Home: -Infinity, End: Infinity });
  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = moves()[event.key];
    if (step !== undefined) { event.preventDefault(); choose(chosen + step); }
    if (event.key === "Enter" && chosen >= 0) reveal();
  });
  detail.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  view.addEventListener("scroll", () => { if (!queued) { queued = true; requestAnimationFrame(draw); } });
  window.addEventListener("resize", () => { if (data) draw(); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    event.preventDefault();
    $("query").focus();
  });
  let waiting = 0;
  $("query").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  $("category").addEventListener("change", filter);
  $("reason").addEventListener("change", filter);
  $("task").addEventListener("change", () => { open(Number($("task").value)); filter(); });
  for (const button of document.querySelectorAll("button[data-task]")) {
    button.addEventListener("click", () => {
      open(index.findIndex((entry) => entry.task === Number(button.dataset.task)));
      $("query").value = "";
      $("category").value = button.dataset.category ?? "";
      filter();
      $("samples").scrollIntoView();
      view.focus({ preventScroll: true });
    });
  }

  $("browser").hidden = false;
  options($("task"), index.map((entry) => entry.name), "");
  $("task").firstElementChild.remove();
  open(0);
  filter();
})();
