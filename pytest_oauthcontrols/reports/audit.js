"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { texts, apps, controls, entries, results } = data;
  const COUNT = results.app.length;
  const VERDICTS = { F: "fail", U: "unverifiable", M: "manual", P: "pass", N: "not_applicable" };
  const LETTERS = { F: "F", U: "U", M: "M", P: "P", N: "\u2013" };
  const ACCEPTED = { W: "waived", B: "in the baseline", G: "below the gate" };
  const CHANGES = { N: "new", P: "persisting", X: "not comparable" };
  const KINDS = { connected_app: "connected app", external_client_app: "external client app", org: "org" };
  const SEVERITIES = ["critical", "high", "medium", "low"];
  const MATRIX_PAGE = 50;
  const PAGE = 100;
  const PRINTED = 2000;
  const EVIDENCE = 100;
  const several = data.orgs.length > 1;
  const byId = (id) => document.getElementById(id);

  // Names and texts come from an org: they become text nodes and attributes' values, never markup.
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  }

  const words = (text) => text.replaceAll("_", " ");
  const plural = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  const badge = (severity) => el("span", { class: `badge ${severity}` }, severity);
  const quiet = (text) => el("span", { class: "badge quiet" }, text);
  const letter = (code) => el("span", { class: `letter ${VERDICTS[code]}`, "aria-hidden": "true" }, LETTERS[code]);
  const score = (number) => number.toFixed(1);
  const hash = (key, parts) =>
    `#${key}${Object.entries(parts || {}).filter(([, value]) => value).map(([name, value]) => `&${name}=${encodeURIComponent(value)}`).join("")}`;

  function outside(text) {
    return /^https?:\/\/[^\s"'<>\\]+$/i.test(text)
      ? el("a", { href: text, rel: "noopener noreferrer", target: "_blank" }, text)
      : text;
  }

  // What results are made of.

  const verdictOf = (row) => results.verdict[row];
  const controlOf = (row) => controls[results.control[row]];
  const contextOf = (row) => data.contexts[results.context[row]];
  const messageOf = (row) => texts[results.message[row]];
  const waiverOf = (row) => data.said[results.waiver[row]];
  const attestationOf = (row) => data.said[results.attestation[row]];
  const failing = (row) => "FU".includes(results.verdict[row]);
  const scoreOf = (row) => (contextOf(row) ? contextOf(row)[0] : controlOf(row).score);
  const orgOf = (app) => data.orgs[apps.org[app]];
  const nameOf = (app) => texts[apps.name[app]];
  const labelOf = (app) => (apps.kind[app] === "org" ? orgOf(app) : texts[apps.label[app]] || nameOf(app));
  const testOf = (row) =>
    row in results.odd ? texts[results.odd[row]] : `${texts[apps.case[results.app[row]]]}${controlOf(row).id}]`;
  const controlHref = (control) => `#control=${encodeURIComponent(control.id)}`;

  // Two apps can have one name: a connected app and an external client app, or the same app in two orgs.
  const namesakes = new Map();
  for (let app = 0; app < apps.kind.length; app++) {
    const key = nameOf(app);
    if (apps.kind[app] !== "org") namesakes.set(key, [...(namesakes.get(key) || []), app]);
  }
  function appHref(app) {
    if (apps.kind[app] === "org") return hash(`org=${encodeURIComponent(orgOf(app))}`);
    const alike = namesakes.get(nameOf(app));
    const parts = alike.length > 1 ? { kind: apps.kind[app], org: several ? orgOf(app) : "" } : {};
    if (alike.filter((one) => apps.kind[one] === apps.kind[app] && apps.org[one] === apps.org[app]).length > 1) {
      parts.n = String(app);
    }
    return hash(`app=${encodeURIComponent(nameOf(app))}`, parts);
  }
  // What a filter's link says of an app; alone, its name outlives a run.
  function appKey(app) {
    const name = apps.kind[app] === "org" ? "(org)" : nameOf(app);
    return (namesakes.get(name) || []).length === 1 || (name === "(org)" && !several) ? name : `${name} #${app}`;
  }
  const appLink = (app) => el("a", { href: appHref(app) }, apps.kind[app] === "org" ? "the org itself" : labelOf(app));
  const rowHref = (row) => `${appHref(results.app[row])}&control=${encodeURIComponent(controlOf(row).id)}`;

  const rowsOfApp = apps.kind.map(() => []);
  const rowsOfControl = controls.map(() => []);
  for (let row = 0; row < COUNT; row++) {
    rowsOfApp[results.app[row]].push(row);
    rowsOfControl[results.control[row]].push(row);
  }
  // Failing results of each app by severity: what is worst goes first.
  const worst = rowsOfApp.map((rows) => {
    const counts = [0, 0, 0, 0];
    for (const row of rows) if (failing(row)) counts[SEVERITIES.indexOf(controlOf(row).severity)]++;
    return counts;
  });
  const compareWorst = (a, b) => {
    for (let rank = 0; rank < 4; rank++) if (worst[a][rank] !== worst[b][rank]) return worst[b][rank] - worst[a][rank];
    return a - b;
  };
  const compareNames = (a, b) =>
    labelOf(a) < labelOf(b) ? -1 : labelOf(a) > labelOf(b) ? 1 : a - b;

  // Where the reader is.

  function parts() {
    const found = {};
    for (const part of location.hash.slice(1).split("&")) {
      const [name, ...value] = part.split("=");
      try {
        if (name) found[decodeURIComponent(name)] = decodeURIComponent(value.join("="));
      } catch {
        // Half of an escape: the link was cut off, and the rest of it still says something.
      }
    }
    return found;
  }
  function remember(key, said) {
    history.replaceState(null, "", hash(key, said));
  }

  const TITLE = document.title;
  let shown = "";
  function show(view, title) {
    for (const section of document.querySelectorAll("[data-view]")) {
      section.classList.toggle("current", section.dataset.view === view);
    }
    for (const link of document.querySelectorAll("#nav a")) {
      if (link.getAttribute("href") === `#${view}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = title ? `${title} - ${TITLE}` : TITLE;
    const moved = shown !== "" && shown !== location.hash;
    shown = location.hash || "#overview";
    if (!moved) return;
    window.scrollTo(0, 0);
    const heading = document.querySelector(`[data-view="${view}"] h2`);
    heading.setAttribute("tabindex", "-1");
    heading.focus({ preventScroll: true });
  }

  function route() {
    if (detail.open) detail.close();
    const said = parts();
    if ("findings" in said) {
      fill(findingsForm, said);
      page = Math.max(0, (parseInt(said.page, 10) || 1) - 1);
      show("findings", "Findings");
      renderFindings();
    } else if ("matrix" in said) {
      fill(matrixForm, said);
      matrixPage = Math.max(0, (parseInt(said.page, 10) || 1) - 1);
      show("matrix", "Matrix");
      renderMatrix();
    } else if ("app" in said) showApp(said);
    else if ("org" in said) showOrg(said);
    else if ("control" in said) showControl(said.control);
    else if ("decisions" in said) show("decisions", "Waivers and attestations");
    else if ("coverage" in said) show("coverage", "Coverage");
    else show("overview");
  }

  function fill(form, said) {
    for (const field of form.elements) {
      if (!field.name) continue;
      const value = said[field.name] || "";
      const known = field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value);
      field.value = known ? value : field.options[0].value;
      if (field.tagName === "SELECT" && field.selectedIndex < 0) field.selectedIndex = 0;
    }
  }
  function choices(form) {
    const found = {};
    for (const field of form.elements) if (field.name && field.value) found[field.name] = field.value;
    return found;
  }

  function pager(place, count, size, current, turn) {
    const pages = Math.max(1, Math.ceil(count / size));
    place.replaceChildren();
    if (pages === 1) return;
    place.append(
      el("button", { type: "button", disabled: current === 0, click: () => turn(current - 1) }, "Previous"),
      el("span", {}, `page ${current + 1} of ${pages}`),
      el("button", { type: "button", disabled: current >= pages - 1, click: () => turn(current + 1) }, "Next"),
    );
  }

  // One result in full.

  const detail = byId("detail");
  let walk = [];
  let returnTo = null;

  function openDetail(row, rows) {
    walk = rows;
    returnTo = document.activeElement;
    renderDetail(row);
    detail.showModal();
    detail.querySelector("button.close").focus();
  }
  function renderDetail(row) {
    const at = walk.indexOf(row);
    const step = (by) => {
      renderDetail(walk[at + by]);
      const again = detail.querySelector(by < 0 ? "button.previous" : "button.next");
      (again.disabled ? detail.querySelector("button.close") : again).focus();
    };
    const control = controlOf(row);
    detail.replaceChildren(
      el("div", { class: "bar" },
        el("p", { class: "status", "aria-live": "polite" }, walk.length > 1 ? `${at + 1} of ${walk.length.toLocaleString("en")}` : ""),
        walk.length > 1 ? el("button", { type: "button", class: "previous", disabled: at <= 0, click: () => step(-1) }, "Previous") : null,
        walk.length > 1 ? el("button", { type: "button", class: "next", disabled: at >= walk.length - 1, click: () => step(1) }, "Next") : null,
        el("button", { type: "button", class: "close", click: () => detail.close() }, "Close (Esc)")),
      el("h2", { id: "detail-title" }, letter(verdictOf(row)), ` ${labelOf(results.app[row])}: ${control.id}`),
      inFull(row),
      el("p", {}, el("a", { href: rowHref(row) }, "Link to this result on its app's page")),
    );
    detail.scrollTop = 0;
  }
  detail.addEventListener("close", () => {
    if (returnTo && returnTo.isConnected) returnTo.focus();
  });
  detail.addEventListener("click", (event) => {
    if (event.target === detail) detail.close();
    const link = event.target.closest("a[href^='#']");
    // The same link again changes no hash, so nothing else would close what lies over it.
    if (link) { returnTo = null; detail.close(); }
  });

  function evidenceOf(row) {
    const flat = data.evidence[results.evidence[row]];
    const sources = apps.sources[results.app[row]];
    const found = [];
    for (let at = 0; at < flat.length; at += 2) {
      const entry = flat[at];
      found.push({
        setting: texts[entries.setting[entry]],
        state: entries.state[entry],
        value: texts[entries.value[entry]],
        note: texts[entries.note[entry]],
        source: texts[sources[flat[at + 1]]],
        line: entries.line[entry],
      });
    }
    return found;
  }
  const where = (one) => (one.line ? `${one.source}:${one.line}` : one.source);
  function describe(one) {
    if (one.state === "S") return `${one.setting} = ${one.value}`;
    if (one.state === "A") return `${one.setting} is absent${one.note ? `; ${one.note}` : ""}`;
    return `${one.setting} could not be read: ${one.note}`;
  }

  function waiverText(waiver) {
    return [
      `${waiver.expired ? `expired on ${waiver.expires}: ` : ""}waived by ${waiver.owner} until ${waiver.expires}: ${waiver.reason}`,
      ...(waiver.ticket ? [" (", outside(waiver.ticket), ")"] : []),
      ` at ${waiver.file}:${waiver.line}`,
    ];
  }
  function attestationText(attestation) {
    return [
      `${attestation.expired ? `expired on ${attestation.expires}: ` : ""}attested by ${attestation.by} until ${attestation.expires}: ${attestation.statement}`,
      ...(attestation.evidence ? [" (evidence: ", outside(attestation.evidence), ")"] : []),
      ` at ${attestation.file}:${attestation.line}`,
    ];
  }
  function acceptedText(row) {
    const waiver = waiverOf(row);
    switch (results.accepted[row]) {
      case "W": return waiver ? `waived by ${waiver.owner} until ${waiver.expires}` : "waived";
      case "B": return `in the baseline since ${texts[results.since[row]]}`;
      case "G": return "below the gate";
      default: return "";
    }
  }
  function tags(row) {
    const found = [];
    if (acceptedText(row)) found.push(`accepted: ${acceptedText(row)}`);
    const waiver = waiverOf(row);
    if (waiver && waiver.expired) found.push(`waiver by ${waiver.owner} expired on ${waiver.expires}`);
    if (results.change[row] === "N") found.push("new");
    if (attestationOf(row) && verdictOf(row) === "P") found.push(`attested by ${attestationOf(row).by}`);
    return found.length ? el("span", { class: "tags" }, found.map(quiet)) : null;
  }
  function contextText(row) {
    const context = contextOf(row);
    if (!context) return [];
    const [number, severity, raised, lowered, unseen] = context;
    const lines = [
      ...raised.map((one) => `raised: ${texts[one]}`),
      ...lowered.map((one) => `lowered: ${texts[one]}`),
      ...unseen.map((one) => `not seen: ${texts[one]}`),
    ];
    return [`${score(number)} ${severity}`, lines];
  }

  function pair(name, ...values) {
    const content = values.flat(Infinity).filter((value) => value !== null && value !== undefined && value !== "");
    return content.length ? [el("dt", {}, name), el("dd", {}, content)] : [];
  }
  const list = (some) => (some.length ? el("ul", {}, some.map((one) => el("li", {}, one))) : null);

  const setting = (one) =>
    el("div", { class: "setting" }, el("code", {}, describe(one)), where(one) ? el("span", { class: "sub source" }, `at ${where(one)}`) : "");

  function inFull(row, within) {
    const control = controlOf(row);
    const app = results.app[row];
    const [context, reasons] = contextText(row);
    const evidence = evidenceOf(row);
    const differ = data.lists[results.contradictions[row]].map((one) => texts[one]);
    const waiver = waiverOf(row);
    const attestation = attestationOf(row);
    return el("div", {},
      el("p", { class: "lead" }, el("strong", {}, `${words(VERDICTS[verdictOf(row)])}: `), messageOf(row)),
      tags(row),
      el("dl", { class: "finding" },
        pair("Control", el("a", { href: controlHref(control) }, control.id), `: ${control.name}`),
        pair("Severity", badge(control.severity), ` CVSS ${score(control.cvss[0])}-${score(control.cvss[1])} (${control.basis}), middle ${score(control.score)}`),
        pair("In context", context || "", reasons ? list(reasons) : ""),
        within === "app" ? [] : pair("App", appLink(app), apps.kind[app] === "org" ? "" : ` (${nameOf(app)}, ${KINDS[apps.kind[app]]})`),
        several ? pair("Org", orgOf(app)) : [],
        pair("Evidence", evidence.slice(0, EVIDENCE).map(setting), evidence.length > EVIDENCE
          ? el("details", {}, el("summary", {}, `and ${plural(evidence.length - EVIDENCE, "setting")} more`), evidence.slice(EVIDENCE).map(setting)) : ""),
        waiver ? pair("Waiver", waiverText(waiver)) : [],
        attestation ? pair("Attestation", attestationText(attestation)) : [],
        results.change[row] === "-" ? [] : pair("Baseline", `${CHANGES[results.change[row]]}, found since ${texts[results.since[row]]}`),
        pair("Pages differ", list(differ)),
        pair("Recommended", control.recommended),
        failing(row) ? [
          pair("Threat", control.threat),
          pair("To mend", control.remediation),
          pair("May break", control.may_break),
        ] : [],
        pair("Published page", control.page ? outside(control.page) : ""),
        pair("Test", el("code", {}, testOf(row)))));
  }

  // The matrix.

  const matrixForm = byId("matrix-form");
  let matrixPage = 0;

  function describeCell(row) {
    const control = controlOf(row);
    const context = contextOf(row);
    const judged = failing(row) ? `, ${control.severity}, ${score(scoreOf(row))}${context ? " in context" : ""}` : "";
    const accepted = acceptedText(row) ? `, accepted: ${acceptedText(row)}` : "";
    return `${words(VERDICTS[verdictOf(row)])}${judged}${accepted}. ${messageOf(row)}`;
  }
  function mark(row) {
    const code = verdictOf(row);
    const control = controlOf(row);
    if (!failing(row)) return el("span", { class: VERDICTS[code] }, LETTERS[code]);
    const accepted = results.accepted[row] !== "-";
    const colour = accepted ? "accepted" : code === "U" ? "unverifiable" : control.severity;
    return el("span", { class: colour },
      accepted ? LETTERS[code].toLowerCase() : LETTERS[code],
      el("sub", {}, control.severity[0].toUpperCase()),
      results.change[row] === "N" ? "*" : "");
  }

  function legend() {
    const key = (sample, text) => el("span", {}, sample, ` ${text}`);
    const colour = (name) => el("span", { class: `letter ${name}` }, `F${name[0].toUpperCase()}`);
    byId("legend").replaceChildren(
      ...SEVERITIES.map((name) => key(colour(name), `fail, ${name}`)),
      key(el("span", { class: "letter unverifiable" }, "U"), "unverifiable, with its severity"),
      key(el("b", {}, "f, u"), "the same, accepted"),
      ...["M", "P", "N"].map((code) => key(letter(code), words(VERDICTS[code]))),
      data.baseline ? key(el("b", {}, "*"), "new since the baseline") : "",
      el("span", {}, "Severity is the published one. Arrow keys move in the matrix, Enter opens."),
    );
  }

  function renderMatrix() {
    const choice = choices(matrixForm);
    const kind = matrixForm.kind.value;
    remember("matrix", { ...choice, page: matrixPage ? String(matrixPage + 1) : "" });
    matrixForm.order.disabled = matrixForm.find.disabled = kind === "org";
    const place = byId("matrix");
    if (kind === "org") {
      const rows = rowsOfApp.flatMap((some, app) => (apps.kind[app] === "org" && (!choice.org || orgOf(app) === choice.org) ? some : []));
      rows.sort(byScore);
      byId("matrix-status").textContent = `${plural(rows.length, "result")} of the org's own controls`;
      place.replaceChildren(table(rows, rows, ["verdict", "severity", "control", "found"]));
      pager(byId("matrix-pager"), 0, PAGE, 0);
      return;
    }
    const wanted = (choice.find || "").toLowerCase();
    const some = apps.kind.map((one, app) => app).filter((app) =>
      apps.kind[app] === kind && (!choice.org || orgOf(app) === choice.org) &&
      (!wanted || labelOf(app).toLowerCase().includes(wanted) || nameOf(app).toLowerCase().includes(wanted)));
    some.sort(matrixForm.order.value === "name" ? compareNames : compareWorst);
    matrixPage = Math.min(matrixPage, Math.max(0, Math.ceil(some.length / MATRIX_PAGE) - 1));
    const paged = some.slice(matrixPage * MATRIX_PAGE, (matrixPage + 1) * MATRIX_PAGE);
    const columns = controls.map((control, number) => number).filter((number) =>
      controls[number].kinds.includes(kind) && (controls[number].page || paged.some((app) => rowsOfApp[app].some((row) => results.control[row] === number))));
    byId("matrix-status").textContent = some.length
      ? `${plural(some.length, KINDS[kind])} by ${plural(columns.length, "control")}${some.length > paged.length ? `, showing ${matrixPage * MATRIX_PAGE + 1} to ${matrixPage * MATRIX_PAGE + paged.length}` : ""}`
      : `No ${KINDS[kind]}${wanted || choice.org ? " like that" : " was assessed"}.`;
    pager(byId("matrix-pager"), some.length, MATRIX_PAGE, matrixPage, (next) => { matrixPage = next; renderMatrix(); byId("matrix").scrollIntoView(); });
    if (!some.length) return place.replaceChildren();

    const head = el("tr", {}, el("th", { scope: "col", class: "corner" }, "App"),
      columns.map((number) => el("th", { scope: "col" },
        el("a", { href: controlHref(controls[number]), tabindex: "-1", title: `${controls[number].name} (${controls[number].severity})` },
          `${controls[number].id} ${controls[number].severity[0].toUpperCase()}`))));
    const body = paged.map((app) => {
      const cells = new Map(rowsOfApp[app].map((row) => [results.control[row], row]));
      return el("tr", {},
        el("th", { scope: "row" },
          el("a", { href: appHref(app), tabindex: "-1", title: labelOf(app) }, labelOf(app)),
          nameOf(app) !== labelOf(app) || several ? el("small", { title: nameOf(app) }, several ? `${nameOf(app)}, ${orgOf(app)}` : nameOf(app)) : ""),
        columns.map((number) => {
          const row = cells.get(number);
          if (row === undefined) return el("td", { tabindex: "-1", "aria-label": "not run" });
          const title = describeCell(row);
          return el("td", { tabindex: "-1", "data-row": String(row), title, "aria-label": title }, mark(row));
        }));
    });
    const rows = paged.flatMap((app) => rowsOfApp[app]);
    const grid = el("table", { role: "grid", "aria-labelledby": "h-matrix" }, el("thead", {}, head), el("tbody", {}, body));
    // One stop for the Tab key; within, the arrow keys move.
    const stops = [...grid.rows].map((line) => [...line.cells].map((cell) => cell.querySelector("a") || cell));
    let [y, x] = [1, 1];
    const focus = (toY, toX) => {
      stops[y][x].setAttribute("tabindex", "-1");
      y = Math.max(0, Math.min(stops.length - 1, toY));
      x = Math.max(0, Math.min(stops[y].length - 1, toX));
      stops[y][x].setAttribute("tabindex", "0");
      stops[y][x].focus();
    };
    stops[0][0].setAttribute("tabindex", "-1");
    stops[y][x].setAttribute("tabindex", "0");
    grid.addEventListener("focusin", (event) => {
      const cell = event.target.closest("th, td");
      if (cell) {
        stops[y][x].setAttribute("tabindex", "-1");
        y = cell.parentElement.rowIndex;
        x = cell.cellIndex;
        stops[y][x].setAttribute("tabindex", "0");
      }
    });
    grid.addEventListener("keydown", (event) => {
      const moves = { ArrowUp: [y - 1, x], ArrowDown: [y + 1, x], ArrowLeft: [y, x - 1], ArrowRight: [y, x + 1], Home: [y, 0], End: [y, Infinity], PageUp: [y - 10, x], PageDown: [y + 10, x] };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (moves[event.key]) focus(...moves[event.key]);
      else if ((event.key === "Enter" || event.key === " ") && event.target.dataset.row) openDetail(Number(event.target.dataset.row), rows);
      else return;
      event.preventDefault();
    });
    grid.addEventListener("click", (event) => {
      const cell = event.target.closest("td[data-row]");
      if (!cell) return;
      cell.focus();
      openDetail(Number(cell.dataset.row), rows);
    });
    place.replaceChildren(el("div", { class: "matrix" }, grid));
  }

  // The findings.

  const findingsForm = byId("findings-form");
  let page = 0;
  const ORDER = "FUMPN";
  const keys = new Float64Array(COUNT);
  const baseKeys = new Float64Array(COUNT);
  for (let row = 0; row < COUNT; row++) {
    const verdict = 9 - ORDER.indexOf(verdictOf(row));
    keys[row] = Math.round(scoreOf(row) * 10) * 10 + verdict;
    baseKeys[row] = Math.round(controlOf(row).score * 10) * 10 + verdict;
  }
  const byScore = (a, b) => keys[b] - keys[a] || a - b;
  const sorts = {
    "": byScore,
    base: (a, b) => baseKeys[b] - baseKeys[a] || a - b,
    app: (a, b) => (results.app[a] === results.app[b] ? byScore(a, b) : compareNames(results.app[a], results.app[b])),
    control: (a, b) => results.control[a] - results.control[b] || byScore(a, b),
  };

  let lower = null;
  function searcher(query) {
    const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (!wanted.length) return () => true;
    // Each text is looked at once per word, however many results have it.
    lower = lower || texts.map((text) => text.toLowerCase());
    const tests = wanted.map((word) => {
      const hit = lower.map((text) => text.includes(word));
      const inEntry = entries.setting.map((setting, entry) => hit[setting] || hit[entries.value[entry]] || hit[entries.note[entry]]);
      const inList = data.evidence.map((flat) => { for (let at = 0; at < flat.length; at += 2) if (inEntry[flat[at]]) return true; return false; });
      const inApp = apps.kind.map((kind, app) => hit[apps.name[app]] || hit[apps.label[app]] || (kind === "org" || several) && orgOf(app).toLowerCase().includes(word));
      const inControl = controls.map((control) => `${control.id} ${control.name}`.toLowerCase().includes(word));
      const inSaid = data.said.map((one) => one !== null && [one.owner, one.by, one.reason, one.statement, one.ticket].join(" ").toLowerCase().includes(word));
      const inSources = (row) => {
        const flat = data.evidence[results.evidence[row]];
        const sources = apps.sources[results.app[row]];
        for (let at = 1; at < flat.length; at += 2) if (hit[sources[flat[at]]]) return true;
        return false;
      };
      return (row) =>
        hit[results.message[row]] || inApp[results.app[row]] || inControl[results.control[row]] || inList[results.evidence[row]] ||
        inSaid[results.waiver[row]] || inSaid[results.attestation[row]] || inSources(row);
    });
    return (row) => tests.every((test) => test(row));
  }

  function accepts(choice) {
    switch (choice) {
      case "no": return (row) => failing(row) && results.accepted[row] === "-";
      case "yes": return (row) => results.accepted[row] !== "-";
      case "waived": return (row) => results.accepted[row] === "W";
      case "baseline": return (row) => results.accepted[row] === "B";
      case "gate": return (row) => results.accepted[row] === "G";
      case "expired": return (row) => waiverOf(row) !== null && waiverOf(row).expired;
      default: return () => true;
    }
  }

  function chosen(choice) {
    const inText = searcher(choice.q || "");
    const accepted = accepts(choice.accepted);
    const verdicts = { "": "FU", all: ORDER }[choice.verdict || ""] || ORDER[Object.values(VERDICTS).indexOf(choice.verdict)];
    const wantedApp = choice.app ? apps.kind.findIndex((kind, app) => appKey(app) === choice.app) : -1;
    const rows = [];
    for (let row = 0; row < COUNT; row++) {
      const app = results.app[row];
      if (
        verdicts.includes(verdictOf(row)) &&
        (!choice.severity || controlOf(row).severity === choice.severity) &&
        (!choice.kind || apps.kind[app] === choice.kind) &&
        (!choice.org || orgOf(app) === choice.org) &&
        (wantedApp < 0 || app === wantedApp) &&
        (!choice.control || controlOf(row).id === choice.control) &&
        (!choice.change || CHANGES[results.change[row]] === choice.change) &&
        accepted(row) && inText(row)
      ) rows.push(row);
    }
    return rows.sort(sorts[choice.sort || ""] || byScore);
  }

  const COLUMNS = {
    score: ["Score", (row) => el("td", { class: "score" }, badge(controlOf(row).severity), " ", el("b", {}, score(scoreOf(row))),
      contextOf(row) && contextOf(row)[0] !== controlOf(row).score ? el("span", { class: "sub" }, `middle ${score(controlOf(row).score)}`) : "")],
    severity: ["Severity", (row) => el("td", { class: "score" }, badge(controlOf(row).severity), " ", failing(row) ? el("b", {}, score(scoreOf(row))) : "")],
    verdict: ["Verdict", (row) => el("td", {}, letter(verdictOf(row)), ` ${words(VERDICTS[verdictOf(row)])}`)],
    app: ["App", (row) => {
      const app = results.app[row];
      return el("td", { class: "app" }, appLink(app), apps.kind[app] === "org" ? "" : el("span", { class: "sub" }, nameOf(app) === labelOf(app) ? "" : `${nameOf(app)}, `, KINDS[apps.kind[app]]), several ? el("span", { class: "sub" }, orgOf(app)) : "");
    }],
    control: ["Control", (row) => el("td", {}, el("a", { href: controlHref(controlOf(row)), title: controlOf(row).name }, controlOf(row).id),
      several && apps.kind[results.app[row]] === "org" ? el("span", { class: "sub" }, orgOf(results.app[row])) : "")],
    found: ["What was found", (row, rows) => el("td", { class: "found" }, el("button", { type: "button", class: "open", click: () => openDetail(row, rows) }, el("span", {}, messageOf(row))), tags(row))],
  };
  function table(some, all, columns) {
    return el("table", { class: "list findings" },
      el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, COLUMNS[name][0])))),
      el("tbody", {}, some.map((row) => el("tr", {}, columns.map((name) => COLUMNS[name][1](row, all))))));
  }

  function renderFindings() {
    const choice = choices(findingsForm);
    const rows = chosen(choice);
    page = Math.min(page, Math.max(0, Math.ceil(rows.length / PAGE) - 1));
    remember("findings", { ...choice, page: page ? String(page + 1) : "" });
    const some = rows.slice(page * PAGE, (page + 1) * PAGE);
    const range = rows.length > some.length ? `, showing ${page * PAGE + 1} to ${page * PAGE + some.length}` : "";
    byId("findings-status").textContent = `${rows.length.toLocaleString("en")} of ${plural(COUNT, "result")}${range}`;
    byId("findings").replaceChildren(some.length ? table(some, rows, ["score", "verdict", "app", "control", "found"]) : el("p", {}, "Nothing is like that."));
    pager(byId("findings-pager"), rows.length, PAGE, page, (next) => {
      page = next;
      renderFindings();
      byId("findings-status").scrollIntoView();
    });
  }

  // The pages of apps and controls.

  const ofApp = byId("page");
  function counted(rows) {
    return [...ORDER].map((code) => [code, rows.filter((row) => verdictOf(row) === code).length])
      .filter(([, number]) => number).map(([code, number]) => `${number} ${words(VERDICTS[code])}`).join(", ") || "no result";
  }
  function showPage(title, ...content) {
    byId("h-page").textContent = title;
    ofApp.replaceChildren(...content.flat(Infinity).filter(Boolean));
    show("page", title);
  }
  const missing = (what) => showPage(what, el("p", {}, "This page has nothing by that name. It may have been renamed, or not been assessed."));

  function resultsOf(rows, open) {
    const make = (row) => {
      const node = el("details", { class: "result", "data-row": String(row) },
        el("summary", {}, letter(verdictOf(row)), el("span", {}, badge(controlOf(row).severity), " ", failing(row) ? score(scoreOf(row)) : ""),
          el("span", {}, controlOf(row).id), el("span", {}, messageOf(row), tags(row))));
      // What nobody opens is not made.
      node.addEventListener("toggle", () => { if (node.open && node.children.length === 1) node.append(inFull(row, "app")); });
      if (row === open) node.open = true;
      return node;
    };
    return [...ORDER].flatMap((code) => {
      const some = rows.filter((row) => verdictOf(row) === code).sort(byScore);
      if (!some.length) return [];
      const nodes = some.map(make);
      return [
        el("h3", {}, letter(code), ` ${words(VERDICTS[code])} (${some.length}) `,
          el("button", { type: "button", click: (event) => {
            const open = !nodes.every((node) => node.open);
            for (const node of nodes) node.open = open;
            event.target.textContent = open ? "Close all" : "Open all";
          } }, "Open all")),
        ...nodes,
      ];
    });
  }
  function showResults(title, app, said, facts) {
    const open = rowsOfApp[app].find((row) => controlOf(row).id === said.control);
    showPage(title, facts, resultsOf(rowsOfApp[app], open));
    if (open === undefined) return;
    const node = ofApp.querySelector(`[data-row="${open}"]`);
    node.scrollIntoView({ block: "start" });
    node.querySelector("summary").focus({ preventScroll: true });
  }
  function showApp(said) {
    const alike = namesakes.get(said.app) || [];
    const app = alike.find((one) => (!said.kind || apps.kind[one] === said.kind) && (!said.org || orgOf(one) === said.org) && (!said.n || said.n === String(one)));
    if (app === undefined) return missing(`App ${said.app}`);
    const others = alike.filter((one) => one !== app);
    const files = apps.sources[app].map((one) => texts[one]).filter(Boolean);
    showResults(labelOf(app), app, said, [
      el("dl", { class: "facts" },
        el("div", {}, pair("Full name", nameOf(app))),
        el("div", {}, pair("Kind", KINDS[apps.kind[app]])),
        el("div", {}, pair("Org", orgOf(app))),
        el("div", { class: "wide" }, pair("Results", counted(rowsOfApp[app]))),
        el("div", { class: "wide" }, pair("Evidence was read from", files.length ? files.map((one) => el("div", { class: "source" }, one)) : "nothing")),
        others.length ? el("div", { class: "wide" }, pair("Also called so", others.flatMap((one, at) => [at ? ", " : "", el("a", { href: appHref(one) }, `${labelOf(one)} (${KINDS[apps.kind[one]]}${several ? `, ${orgOf(one)}` : ""})`)]))) : ""),
    ]);
  }
  function showOrg(said) {
    const app = apps.kind.findIndex((kind, one) => kind === "org" && orgOf(one) === said.org);
    if (app < 0) return missing(`Org ${said.org}`);
    showResults(`The org's own controls: ${said.org}`, app, said, [el("p", {}, counted(rowsOfApp[app]))]);
  }

  function showControl(id) {
    const number = controls.findIndex((control) => control.id === id);
    if (number < 0) return missing(`Control ${id}`);
    const control = controls[number];
    const rows = [...rowsOfControl[number]].sort((a, b) => ORDER.indexOf(verdictOf(a)) - ORDER.indexOf(verdictOf(b)) || byScore(a, b));
    const steps = Object.entries(control.steps).filter(([, some]) => some.length).map(([kind, some]) => [
      control.kinds.length > 1 ? el("h4", {}, `Of an ${KINDS[kind]}`.replace("an connected", "a connected")) : "",
      el("ol", {}, some.map(([verdict, says]) => el("li", {},
        verdict === "require" ? [el("b", {}, "fail"), `, if so: ${says.join(" ")} Otherwise `, el("b", {}, "pass"), "."] : [el("b", {}, verdict), `: ${says.join(" ")}`]))),
    ]);
    const place = el("div", {});
    const turner = el("div", { class: "pager" });
    const turn = (at) => {
      place.replaceChildren(table(rows.slice(at * PAGE, (at + 1) * PAGE), rows, ["verdict", "severity", "app", "found"]));
      pager(turner, rows.length, PAGE, at, turn);
    };
    if (rows.length) turn(0);
    showPage(control.id,
      el("p", { class: "lead" }, control.name),
      el("dl", { class: "finding" },
        pair("Severity", badge(control.severity), ` CVSS ${score(control.cvss[0])}-${score(control.cvss[1])} (${control.basis}), middle ${score(control.score)}`),
        pair("Applies to", control.kinds.map((kind) => KINDS[kind]).join(", ")),
        pair("Assessed", control.assessed),
        pair("Recommended", control.recommended),
        pair("Threat", control.threat),
        pair("To mend", control.remediation),
        pair("May break", control.may_break),
        pair("Higher risk when", list(control.higher)),
        pair(`Low risk when${control.needs ? ` (${control.needs} of)` : ""}`, list(control.lower)),
        pair("Pages differ", list(control.contradictions)),
        pair("Notes", list(control.notes)),
        pair("Published page", control.page ? outside(control.page) : ""),
        steps.length ? pair("What decides it", el("p", {}, "The first of these steps whose condition holds:"), steps.flat()) : [],
        control.rule ? pair("As the catalogue states it", el("pre", {}, control.rule), el("span", { class: "sub" }, "SHA-256 of the rule ", el("span", { class: "hash" }, control.digest))) : []),
      el("h3", {}, `Results: ${counted(rows)}`), place, turner);
  }

  // The whole report on paper.

  function printed(row) {
    const control = controlOf(row);
    const evidence = evidenceOf(row);
    const line = (name, ...content) => (content.flat(Infinity).some(Boolean) ? el("p", {}, el("b", {}, `${name}: `), content) : null);
    const [context, reasons] = contextText(row);
    const waiver = waiverOf(row);
    const attestation = attestationOf(row);
    return el("div", { class: "printed" },
      el("p", { class: "head" }, letter(verdictOf(row)), " ", badge(control.severity), ` ${failing(row) ? `${score(scoreOf(row))} ` : ""}${control.id}: ${messageOf(row)}`),
      line("Control", `${control.name}, CVSS ${score(control.cvss[0])}-${score(control.cvss[1])}`),
      context ? line("In context", context, reasons.length ? `. ${reasons.map((one) => one.replace(/\.$/, "")).join("; ")}.` : "") : null,
      evidence.length ? line("Evidence", evidence.slice(0, EVIDENCE).map((one, at) => [at ? "; " : "", el("code", {}, describe(one)), where(one) ? ` at ${where(one)}` : ""]),
        evidence.length > EVIDENCE ? `; and ${plural(evidence.length - EVIDENCE, "setting")} more, which the page itself shows` : "") : null,
      acceptedText(row) ? line("Accepted", acceptedText(row)) : null,
      waiver ? line("Waiver", waiverText(waiver)) : null,
      attestation ? line("Attestation", attestationText(attestation)) : null,
      results.change[row] === "-" ? null : line("Baseline", `${CHANGES[results.change[row]]}, found since ${texts[results.since[row]]}`),
      failing(row) ? [line("Recommended", control.recommended), line("To mend", control.remediation), line("May break", control.may_break)] : null);
  }
  function printedByApp(rows) {
    const groups = new Map();
    for (const row of rows) groups.set(results.app[row], [...(groups.get(results.app[row]) || []), row]);
    return [...groups.keys()].sort(compareWorst).flatMap((app) => [
      el("h3", {}, apps.kind[app] === "org" ? `The org itself${several ? `: ${orgOf(app)}` : ""}` : `${labelOf(app)} (${nameOf(app)}, ${KINDS[apps.kind[app]]}${several ? `, ${orgOf(app)}` : ""})`),
      ...groups.get(app).map(printed),
    ]);
  }
  function appsInShort() {
    const rows = apps.kind.map((kind, app) => app).filter((app) => apps.kind[app] !== "org").sort(compareWorst);
    const head = ["App", "Full name", "Kind", ...(several ? ["Org"] : []), "Critical", "High", "Medium", "Low"];
    return el("table", { class: "list" },
      el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows.map((app) => el("tr", {}, [labelOf(app), nameOf(app), KINDS[apps.kind[app]], ...(several ? [orgOf(app)] : []), ...worst[app].map(String)]
        .map((text) => el("td", {}, text))))));
  }
  function bounded(title, rows, empty) {
    const some = rows.slice(0, PRINTED);
    return [
      el("h2", {}, title),
      rows.length ? "" : el("p", {}, empty),
      rows.length > some.length
        ? el("p", { class: "banner" }, `The ${PRINTED.toLocaleString("en")} with the highest scores of ${rows.length.toLocaleString("en")} are printed. The other ${(rows.length - some.length).toLocaleString("en")} are on the page itself, and in the results file.`)
        : "",
      ...printedByApp(some),
    ];
  }
  let closed = [];
  function beforePrint() {
    const rows = Array.from({ length: COUNT }, (_, row) => row).sort(byScore);
    closed = [...document.querySelectorAll("#view-overview details:not([open])")];
    for (const one of closed) one.open = true;
    byId("print-findings").replaceChildren(
      el("h2", {}, "Apps"),
      el("p", {}, "Findings, which are results that fail or are unverifiable, by published severity; the worst app first."),
      appsInShort(),
      ...bounded("Findings by app", rows.filter(failing), "Nothing fails, and everything could be verified."),
      ...bounded("For a person to look at (manual)", rows.filter((row) => verdictOf(row) === "M"), "Nothing."),
      ...bounded("Attested", rows.filter((row) => verdictOf(row) === "P" && attestationOf(row)), "Nothing passes on somebody's word."));
  }
  function afterPrint() {
    byId("print-findings").replaceChildren();
    for (const one of closed) one.open = false;
  }

  // Everything is in place: begin.

  function options(select, some) {
    select.append(...some.map(([value, text]) => el("option", { value }, text)));
  }
  const root = document.documentElement;
  root.classList.toggle("orgs", several);
  root.classList.toggle("baseline", data.baseline);
  for (const section of document.querySelectorAll("[data-view]")) section.hidden = false;
  const kinds = Object.keys(KINDS).filter((kind) => apps.kind.includes(kind));
  options(matrixForm.kind, kinds.map((kind) => [kind, kind === "org" ? "the org's own controls" : `${KINDS[kind]}s`]));
  options(matrixForm.org, [["", "all"], ...data.orgs.map((org) => [org, org])]);
  options(findingsForm.org, data.orgs.map((org) => [org, org]));
  options(findingsForm.app, apps.kind.map((kind, app) => app).sort(compareNames).map((app) =>
    [appKey(app), `${apps.kind[app] === "org" ? "the org itself" : labelOf(app)}${several ? ` (${orgOf(app)})` : ""}`]));
  options(findingsForm.control, controls.filter((control, number) => rowsOfControl[number].length).map((control) => [control.id, control.id]));
  legend();

  let typing = 0;
  function changed(render, reset) {
    return (event) => {
      reset();
      clearTimeout(typing);
      if (event.type === "input" && event.target.type === "search") typing = setTimeout(render, 120);
      else render();
    };
  }
  for (const [form, render, reset] of [[findingsForm, renderFindings, () => { page = 0; }], [matrixForm, renderMatrix, () => { matrixPage = 0; }]]) {
    form.addEventListener("input", changed(render, reset));
    form.addEventListener("submit", (event) => event.preventDefault());
    // The fields are emptied after the event.
    form.addEventListener("reset", (event) => setTimeout(changed(render, reset), 0, event));
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || detail.open) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    event.preventDefault();
    const inMatrix = byId("view-matrix").classList.contains("current") && !matrixForm.find.disabled;
    if (!inMatrix && !byId("view-findings").classList.contains("current")) location.hash = "#findings";
    // The hash is acted upon later than this.
    setTimeout(() => (inMatrix ? matrixForm.find : findingsForm.q).focus(), inMatrix ? 0 : 30);
  });
  window.addEventListener("hashchange", route);
  window.addEventListener("beforeprint", beforePrint);
  window.addEventListener("afterprint", afterPrint);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("content").focus();
  });
  route();
})();
