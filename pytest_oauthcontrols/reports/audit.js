"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const { texts, orgs, apps, controls, entries, results } = data;
  const { verdict: VERDICTS, accepted: ACCEPTED, change: CHANGES, kind: KINDS, severities: SEVERITIES } = data.words;
  const LETTERS = Object.keys(VERDICTS);
  const ROWS = results.app.map((app, row) => row);
  const APPS = apps.kind.map((kind, app) => app);
  const MATRIX_PAGE = 50;
  const PAGE = 100;
  const PRINTED = 2000;
  const EVIDENCE = 100;
  const several = orgs.length > 1;

  const filled = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== "");
  // Names and texts come from an org: they become text nodes and attributes' values, never markup.
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") node.addEventListener(name, value);
      else if (value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...filled(children));
    return node;
  }

  const words = (text) => text.replaceAll("_", " ");
  const count = (number) => number.toLocaleString("en");
  const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
  const badge = (severity) => el("span", { class: `badge ${severity}` }, severity);
  const letter = (code) => el("span", { class: `letter ${VERDICTS[code]}`, "aria-hidden": "true" }, code);
  const score = (number) => number.toFixed(1);
  const hash = (parts) =>
    `#${Object.entries(parts).filter(([, value]) => value !== "").map(([name, value]) => (value === true ? name : `${name}=${encodeURIComponent(value)}`)).join("&")}`;
  const outside = (text) =>
    /^https?:\/\/[^\s"'<>\\]+$/i.test(text) ? el("a", { href: text, rel: "noopener noreferrer", target: "_blank" }, text) : text;

  function grouped(some, keyOf) {
    const found = new Map();
    for (const one of some) {
      const key = keyOf(one);
      if (found.has(key)) found.get(key).push(one);
      else found.set(key, [one]);
    }
    return found;
  }

  // What results are made of.

  const verdictOf = (row) => results.verdict[row];
  const controlOf = (row) => controls[results.control[row]];
  const contextOf = (row) => data.contexts[results.context[row]];
  const messageOf = (row) => texts[results.message[row]];
  const waiverOf = (row) => data.said[results.waiver[row]];
  const attestationOf = (row) => data.said[results.attestation[row]];
  const failing = (row) => "FU".includes(verdictOf(row));
  const scoreOf = (row) => (contextOf(row) ? contextOf(row)[0] : controlOf(row).score);
  const isAccepted = (row) => results.accepted[row] in ACCEPTED;
  const isNew = (row) => CHANGES[results.change[row]] === "new";
  const isOrg = (app) => apps.kind[app] === "org";
  const orgOf = (app) => orgs[apps.org[app]];
  const nameOf = (app) => texts[apps.name[app]];
  const labelOf = (app) => (isOrg(app) ? orgOf(app) : texts[apps.label[app]] || nameOf(app));
  const calledOf = (app) => (isOrg(app) ? "the org itself" : labelOf(app));
  const testOf = (row) => (row in results.test ? texts[results.test[row]] : `${texts[apps.case[results.app[row]]]}${controlOf(row).id}]`);
  const controlHref = (control) => hash({ control: control.id });

  // Two apps can have one name: a connected app and an external client app, or the same app in two orgs.
  const namesakes = grouped(APPS, (app) => (isOrg(app) ? "(org)" : nameOf(app)));
  function linkOf(app) {
    if (isOrg(app)) return { org: orgOf(app) };
    const alike = namesakes.get(nameOf(app));
    const twins = alike.filter((one) => apps.kind[one] === apps.kind[app] && apps.org[one] === apps.org[app]);
    return {
      app: nameOf(app),
      kind: alike.length > 1 ? apps.kind[app] : "",
      org: alike.length > 1 && several ? orgOf(app) : "",
      n: twins.length > 1 ? app : "",
    };
  }
  // What a filter's link says of an app; alone, its name outlives a run.
  function filterOf(app) {
    const name = isOrg(app) ? "(org)" : nameOf(app);
    return namesakes.get(name).length === 1 ? name : `${name} #${app}`;
  }
  const appHref = (app) => hash(linkOf(app));
  const appLink = (app) => el("a", { href: appHref(app) }, calledOf(app));
  const rowHref = (row) => hash({ ...linkOf(results.app[row]), control: controlOf(row).id });

  const rowsOfApp = grouped(ROWS, (row) => results.app[row]);
  const rowsOfControl = grouped(ROWS, (row) => results.control[row]);
  // Failing results of each app by severity: what is worst goes first.
  const worst = APPS.map((app) => {
    const found = rowsOfApp.get(app).filter(failing);
    return SEVERITIES.map((severity) => found.filter((row) => controlOf(row).severity === severity).length);
  });
  function compareWorst(a, b) {
    const rank = SEVERITIES.findIndex((severity, at) => worst[a][at] !== worst[b][at]);
    return rank < 0 ? a - b : worst[b][rank] - worst[a][rank];
  }
  const compareNames = (a, b) => (labelOf(a) < labelOf(b) ? -1 : labelOf(a) > labelOf(b) ? 1 : a - b);

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

  const TITLE = document.title;
  let shown = "";
  function show(view, title) {
    for (const section of document.querySelectorAll(".view")) section.classList.toggle("current", section.id === view);
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = title ? `${title} - ${TITLE}` : TITLE;
    const moved = shown !== "" && shown !== location.hash;
    shown = location.hash || "#overview";
    if (!moved) return;
    window.scrollTo(0, 0);
    byId(`h-${view}`).focus({ preventScroll: true });
  }

  let typing = 0;
  function route() {
    clearTimeout(typing);
    detail.close();
    const link = parts();
    if ("findings" in link) showList("findings", "Findings", findingsForm, link, renderFindings);
    else if ("matrix" in link) showList("matrix", "Matrix", matrixForm, link, renderMatrix);
    else if ("app" in link) showApp(link);
    else if ("org" in link) showOrg(link);
    else if ("control" in link) showControl(link.control);
    else if ("decisions" in link) show("decisions", "Waivers and attestations");
    else if ("coverage" in link) show("coverage", "Coverage");
    else show("overview");
  }

  // Lists, of which a form says what they show: the same as their link.

  function showList(view, title, form, link, render) {
    for (const field of form.elements) {
      if (!field.name) continue;
      field.value = link[field.name] || "";
      // It has no such option.
      if (field.selectedIndex < 0) field.selectedIndex = 0;
    }
    show(view, title);
    render();
  }
  const choices = (form) => Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  function paged(view, form, all, size, render) {
    const pages = Math.max(1, Math.ceil(all.length / size));
    const page = Math.min(pages, Math.max(1, parseInt(form.page.value, 10) || 1));
    form.page.value = page > 1 ? page : "";
    history.replaceState(null, "", hash({ [view]: true, ...choices(form) }));
    pager(byId(`${view}-pager`), pages, page, (next) => {
      form.page.value = next;
      render();
      byId(`${view}-status`).scrollIntoView();
    });
    const from = (page - 1) * size;
    const some = all.slice(from, from + size);
    return [some, pages > 1 ? `, showing ${count(from + 1)} to ${count(from + some.length)}` : ""];
  }
  function pager(place, pages, page, turn) {
    place.replaceChildren(...(pages > 1 ? [
      stepper(place, "Previous", page === 1, () => turn(page - 1)),
      el("span", {}, `page ${count(page)} of ${count(pages)}`),
      stepper(place, "Next", page === pages, () => turn(page + 1)),
    ] : []));
  }
  // The step makes the buttons anew: whoever uses the keyboard stays on the same one, or on one that is left.
  function stepper(place, name, disabled, step) {
    const click = () => {
      step();
      (place.querySelector(`.${name}:enabled`) || place.querySelector("button:enabled")).focus({ preventScroll: true });
    };
    return el("button", { type: "button", class: name, disabled, click }, name);
  }

  // One result in full.

  const detail = byId("detail");
  let walk = [];
  function openDetail(row, rows) {
    walk = rows;
    renderDetail(row);
    detail.showModal();
    detail.querySelector("button.close").focus();
  }
  function renderDetail(row) {
    const at = walk.indexOf(row);
    const control = controlOf(row);
    detail.replaceChildren(
      el("div", { class: "bar" },
        el("p", { class: "status", "aria-live": "polite" }, walk.length > 1 ? `${count(at + 1)} of ${count(walk.length)}` : ""),
        walk.length > 1 ? [
          stepper(detail, "Previous", at === 0, () => renderDetail(walk[at - 1])),
          stepper(detail, "Next", at === walk.length - 1, () => renderDetail(walk[at + 1])),
        ] : "",
        el("button", { type: "button", class: "close", click: () => detail.close() }, "Close (Esc)")),
      el("h2", { id: "detail-title" }, letter(verdictOf(row)), ` ${labelOf(results.app[row])}: ${control.id}`),
      inFull(row),
      el("p", {}, el("a", { href: rowHref(row) }, "Link to this result on its app's page")),
    );
    detail.scrollTop = 0;
  }
  detail.addEventListener("click", (event) => {
    // The same link again changes no hash, so nothing else would close what lies over it.
    if (event.target === detail || event.target.closest("a[href^='#']")) detail.close();
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

  // What somebody has put their name to.
  function vouched(verb, by, says, proof, one) {
    const expired = one.expired ? `expired on ${one.expires}: ` : "";
    return [`${expired}${verb} by ${by} until ${one.expires}: ${says}`, one.evidence || one.ticket ? [" (", proof, ")"] : "", ` at ${one.file}:${one.line}`];
  }
  const waiverText = (one) => vouched("waived", one.owner, one.reason, outside(one.ticket), one);
  const attestationText = (one) => vouched("attested", one.by, one.statement, ["evidence: ", outside(one.evidence)], one);
  function acceptedText(row) {
    const how = ACCEPTED[results.accepted[row]] || "";
    if (how === "waived") return `${how} by ${waiverOf(row).owner} until ${waiverOf(row).expires}`;
    return how === "in the baseline" ? `${how} since ${texts[results.since[row]]}` : how;
  }
  function tags(row) {
    const found = [];
    if (acceptedText(row)) found.push(`accepted: ${acceptedText(row)}`);
    const waiver = waiverOf(row);
    if (waiver && waiver.expired) found.push(`waiver by ${waiver.owner} expired on ${waiver.expires}`);
    if (isNew(row)) found.push("new");
    if (attestationOf(row) && verdictOf(row) === "P") found.push(`attested by ${attestationOf(row).by}`);
    return found.length ? el("span", { class: "tags" }, found.map((text) => el("span", { class: "badge quiet" }, text))) : "";
  }
  function changeText(row) {
    const change = CHANGES[results.change[row]];
    return change ? `${change}, first found on ${texts[results.since[row]]}` : "";
  }
  function contextText(row) {
    if (!contextOf(row)) return ["", []];
    const [number, severity, ...conditions] = contextOf(row);
    const reasons = ["raised", "lowered", "not seen"].flatMap((how, at) => conditions[at].map((one) => `${how}: ${texts[one]}`));
    return [`${score(number)} ${severity}`, reasons];
  }
  const severityText = (control) => [badge(control.severity), ` CVSS ${score(control.cvss[0])}-${score(control.cvss[1])} (${control.basis}), middle ${score(control.score)}`];

  // Rows without anything to say are left out.
  function pair(name, ...values) {
    const some = filled(values);
    return some.length ? [el("dt", {}, name), el("dd", {}, some)] : [];
  }
  const list = (some) => (some.length ? el("ul", {}, some.map((one) => el("li", {}, one))) : "");

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
        pair("Severity", severityText(control)),
        pair("In context", context, list(reasons)),
        within === "app" ? "" : pair("App", appLink(app), isOrg(app) ? "" : ` (${nameOf(app)}, ${KINDS[apps.kind[app]]})`),
        several ? pair("Org", orgOf(app)) : "",
        pair("Evidence", evidence.slice(0, EVIDENCE).map(setting), evidence.length > EVIDENCE
          ? el("details", {}, el("summary", {}, `and ${plural(evidence.length - EVIDENCE, "setting")} more`), evidence.slice(EVIDENCE).map(setting)) : ""),
        waiver ? pair("Waiver", waiverText(waiver)) : "",
        attestation ? pair("Attestation", attestationText(attestation)) : "",
        pair("Baseline", changeText(row)),
        pair("Pages differ", list(differ)),
        pair("Recommended", control.recommended),
        failing(row) ? [
          pair("Threat", control.threat),
          pair("Deadlines", list(control.deadlines)),
          pair("To mend", control.remediation),
          pair("May break", control.may_break),
        ] : "",
        pair("Source", control.source),
        pair("Published page", outside(control.page)),
        pair("Test", el("code", {}, testOf(row)))));
  }

  // The matrix.

  const matrixForm = byId("matrix-form");
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
    if (!failing(row)) return el("span", { class: VERDICTS[code] }, code);
    const accepted = isAccepted(row);
    const colour = accepted ? "accepted" : code === "U" ? "unverifiable" : control.severity;
    return el("span", { class: colour }, accepted ? code.toLowerCase() : code, el("sub", {}, control.severity[0].toUpperCase()), isNew(row) ? "*" : "");
  }

  function renderMatrix() {
    const kind = matrixForm.kind.value;
    matrixForm.order.disabled = matrixForm.find.disabled = kind === "org";
    const choice = choices(matrixForm);
    const wanted = (choice.find || "").toLowerCase();
    const some = APPS.filter((app) =>
      apps.kind[app] === kind && (!choice.org || orgOf(app) === choice.org) &&
      (labelOf(app).toLowerCase().includes(wanted) || nameOf(app).toLowerCase().includes(wanted)));
    some.sort(choice.order === "name" ? compareNames : compareWorst);
    const [part, showing] = paged("matrix", matrixForm, some, kind === "org" ? some.length : MATRIX_PAGE, renderMatrix);
    const rows = part.flatMap((app) => rowsOfApp.get(app));
    if (kind === "org") {
      byId("matrix-status").textContent = `${plural(rows.length, "result")} of the org's own controls`;
      byId("matrix-shown").replaceChildren(table(rows.sort(byScore), rows, ["verdict", "severity", ...(several ? ["app"] : []), "control", "found"]));
      return;
    }
    const columns = controls.map((control, number) => number).filter((number) =>
      (rowsOfControl.get(number) || []).some((row) => apps.kind[results.app[row]] === kind));
    byId("matrix-status").textContent = some.length
      ? `${plural(some.length, KINDS[kind])} by ${plural(columns.length, "control")}${showing}`
      : "Nothing like that was assessed.";
    byId("matrix-shown").replaceChildren(...(some.length ? [el("div", { class: "matrix" }, matrix(part, columns, rows))] : []));
  }

  function matrix(part, columns, rows) {
    const grid = el("table", { role: "grid", "aria-labelledby": "h-matrix" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col", class: "corner" }, "App"), columns.map((number) => {
        const { id, name, severity } = controls[number];
        return el("th", { scope: "col" }, el("a", { href: controlHref(controls[number]), tabindex: "-1", title: `${name} (${severity})` }, `${id} ${severity[0].toUpperCase()}`));
      }))),
      el("tbody", {}, part.map((app) => {
        const cells = new Map(rowsOfApp.get(app).map((row) => [results.control[row], row]));
        return el("tr", {},
          el("th", { scope: "row" },
            el("a", { href: appHref(app), tabindex: "-1", title: labelOf(app) }, labelOf(app)),
            nameOf(app) !== labelOf(app) || several ? el("small", { title: nameOf(app) }, several ? `${nameOf(app)}, ${orgOf(app)}` : nameOf(app)) : ""),
          columns.map((number) => {
            const row = cells.get(number);
            if (row === undefined) return el("td", { tabindex: "-1", "aria-label": "not run" });
            const title = describeCell(row);
            return el("td", { tabindex: "-1", "data-row": row, title, "aria-label": title }, mark(row));
          }));
      })));
    const open = (cell) => openDetail(Number(cell.dataset.row), rows);
    grid.addEventListener("click", (event) => {
      const cell = event.target.closest("td[data-row]");
      if (!cell) return;
      cell.focus();
      open(cell);
    });
    // One stop for the Tab key; within, the arrow keys move.
    let stop = grid.tBodies[0].rows[0].cells[1];
    stop.tabIndex = 0;
    grid.addEventListener("focusin", (event) => {
      stop.tabIndex = -1;
      stop = event.target;
      stop.tabIndex = 0;
    });
    grid.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { parentElement: line, cellIndex: x } = event.target.closest("th, td");
      const y = line.rowIndex;
      const to = { ArrowUp: [y - 1, x], ArrowDown: [y + 1, x], ArrowLeft: [y, x - 1], ArrowRight: [y, x + 1], Home: [y, 0], End: [y, Infinity], PageUp: [y - 10, x], PageDown: [y + 10, x] }[event.key];
      const within = (number, size) => Math.max(0, Math.min(size - 1, number));
      if (to) {
        const cell = grid.rows[within(to[0], grid.rows.length)].cells[within(to[1], line.cells.length)];
        (cell.querySelector("a") || cell).focus();
      } else if ((event.key === "Enter" || event.key === " ") && event.target.dataset.row) open(event.target);
      else return;
      event.preventDefault();
    });
    return grid;
  }

  // The findings.

  const findingsForm = byId("findings-form");
  const keys = (scored) => Float64Array.from(ROWS, (row) => Math.round(scored(row) * 10) * 10 - LETTERS.indexOf(verdictOf(row)));
  const inContext = keys(scoreOf);
  const published = keys((row) => controlOf(row).score);
  const byScore = (a, b) => inContext[b] - inContext[a] || a - b;
  const sorts = {
    "": byScore,
    base: (a, b) => published[b] - published[a] || a - b,
    app: (a, b) => (results.app[a] === results.app[b] ? byScore(a, b) : compareNames(results.app[a], results.app[b])),
    control: (a, b) => results.control[a] - results.control[b] || byScore(a, b),
  };

  let lower = null;
  function searcher(query) {
    const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
    // Each text is looked at once per word, however many results have it.
    lower = lower || texts.map((text) => text.toLowerCase());
    const tests = wanted.map((word) => {
      const hit = lower.map((text) => text.includes(word));
      const inEntry = entries.setting.map((setting, entry) => hit[setting] || hit[entries.value[entry]] || hit[entries.note[entry]]);
      const inApp = APPS.map((app) => hit[apps.name[app]] || hit[apps.label[app]] || ((isOrg(app) || several) && orgOf(app).toLowerCase().includes(word)));
      const inControl = controls.map((control) => `${control.id} ${control.name}`.toLowerCase().includes(word));
      const inSaid = data.said.map((one) => one !== null && [one.owner, one.by, one.reason, one.statement, one.ticket].join(" ").toLowerCase().includes(word));
      const inEvidence = (row) => {
        const flat = data.evidence[results.evidence[row]];
        const sources = apps.sources[results.app[row]];
        for (let at = 0; at < flat.length; at += 2) if (inEntry[flat[at]] || hit[sources[flat[at + 1]]]) return true;
        return false;
      };
      return (row) =>
        hit[results.message[row]] || inApp[results.app[row]] || inControl[results.control[row]] ||
        inSaid[results.waiver[row]] || inSaid[results.attestation[row]] || inEvidence(row);
    });
    return (row) => tests.every((test) => test(row));
  }

  const accepts = {
    no: (row) => failing(row) && !isAccepted(row),
    yes: isAccepted,
    expired: (row) => waiverOf(row) !== null && waiverOf(row).expired,
  };
  function chosen(choice) {
    const tests = [
      choice.verdict === "all" ? "" : choice.verdict ? (row) => VERDICTS[verdictOf(row)] === choice.verdict : failing,
      choice.severity && ((row) => controlOf(row).severity === choice.severity),
      choice.kind && ((row) => apps.kind[results.app[row]] === choice.kind),
      choice.org && ((row) => orgOf(results.app[row]) === choice.org),
      choice.app && ((row) => filterOf(results.app[row]) === choice.app),
      choice.control && ((row) => controlOf(row).id === choice.control),
      choice.change && ((row) => CHANGES[results.change[row]] === choice.change),
      choice.accepted && (accepts[choice.accepted] || ((row) => ACCEPTED[results.accepted[row]] === choice.accepted)),
      choice.q && searcher(choice.q),
    ].filter(Boolean);
    return ROWS.filter((row) => tests.every((test) => test(row))).sort(sorts[choice.sort || ""]);
  }

  const COLUMNS = {
    score: ["Score", (row) => el("td", { class: "score" }, badge(controlOf(row).severity), " ", el("b", {}, score(scoreOf(row))),
      contextOf(row) && contextOf(row)[0] !== controlOf(row).score ? el("span", { class: "sub" }, `middle ${score(controlOf(row).score)}`) : "")],
    severity: ["Severity", (row) => el("td", { class: "score" }, badge(controlOf(row).severity), " ", failing(row) ? el("b", {}, score(scoreOf(row))) : "")],
    verdict: ["Verdict", (row) => el("td", {}, letter(verdictOf(row)), ` ${words(VERDICTS[verdictOf(row)])}`)],
    app: ["App", (row) => {
      const app = results.app[row];
      return el("td", { class: "app" }, appLink(app), isOrg(app) ? "" : el("span", { class: "sub" }, nameOf(app) === labelOf(app) ? "" : `${nameOf(app)}, `, KINDS[apps.kind[app]]), several ? el("span", { class: "sub" }, orgOf(app)) : "");
    }],
    control: ["Control", (row) => el("td", {}, el("a", { href: controlHref(controlOf(row)), title: controlOf(row).name }, controlOf(row).id))],
    found: ["What was found", (row, rows) => el("td", { class: "found" }, el("button", { type: "button", class: "open", click: () => openDetail(row, rows) }, el("span", {}, messageOf(row))), tags(row))],
  };
  function table(some, all, columns) {
    return el("table", { class: "list findings" },
      el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, COLUMNS[name][0])))),
      el("tbody", {}, some.map((row) => el("tr", {}, columns.map((name) => COLUMNS[name][1](row, all))))));
  }

  function renderFindings() {
    const rows = chosen(choices(findingsForm));
    const [some, showing] = paged("findings", findingsForm, rows, PAGE, renderFindings);
    byId("findings-status").textContent = `${count(rows.length)} of ${plural(ROWS.length, "result")}${showing}`;
    byId("findings-shown").replaceChildren(some.length ? table(some, rows, ["score", "verdict", "app", "control", "found"]) : el("p", {}, "Nothing is like that."));
  }

  // The pages of apps and controls.

  function counted(rows) {
    const numbers = grouped(rows, verdictOf);
    return LETTERS.filter((code) => numbers.has(code)).map((code) => `${count(numbers.get(code).length)} ${words(VERDICTS[code])}`).join(", ") || "no result";
  }
  function showPage(title, ...content) {
    byId("h-page").textContent = title;
    byId("page-shown").replaceChildren(...filled(content));
    show("page", title);
  }
  const missing = (what) => showPage(what, el("p", {}, "This page has nothing by that name. It may have been renamed, or not been assessed."));

  function resultsOf(rows, open) {
    const make = (row) => {
      const node = el("details", { class: "result", "data-row": row },
        el("summary", {}, letter(verdictOf(row)), el("span", {}, badge(controlOf(row).severity), " ", failing(row) ? score(scoreOf(row)) : ""),
          el("span", {}, controlOf(row).id), el("span", {}, messageOf(row), tags(row))));
      // What nobody opens is not made.
      node.addEventListener("toggle", () => { if (node.open && node.children.length === 1) node.append(inFull(row, "app")); });
      if (row === open) node.open = true;
      return node;
    };
    return LETTERS.flatMap((code) => {
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
  function showResults(title, app, link, facts) {
    const rows = rowsOfApp.get(app);
    const open = rows.find((row) => controlOf(row).id === link.control);
    showPage(title, facts, resultsOf(rows, open));
    if (open === undefined) return;
    const node = byId("page-shown").querySelector(`[data-row="${open}"]`);
    node.scrollIntoView({ block: "start" });
    node.querySelector("summary").focus({ preventScroll: true });
  }
  function showApp(link) {
    const alike = APPS.filter((app) => !isOrg(app) && nameOf(app) === link.app);
    const app = alike.find((one) => (!link.kind || apps.kind[one] === link.kind) && (!link.org || orgOf(one) === link.org) && (!link.n || link.n === String(one)));
    if (app === undefined) return missing(`App ${link.app}`);
    const files = apps.sources[app].map((one) => texts[one]).filter(Boolean);
    const wide = (name, ...values) => el("div", { class: "wide" }, pair(name, values));
    const others = alike.filter((one) => one !== app).map((one) => el("a", { href: appHref(one) }, `${labelOf(one)} (${KINDS[apps.kind[one]]}${several ? `, ${orgOf(one)}` : ""})`));
    showResults(labelOf(app), app, link,
      el("dl", { class: "facts" },
        el("div", {}, pair("Full name", nameOf(app))),
        el("div", {}, pair("Kind", KINDS[apps.kind[app]])),
        el("div", {}, pair("Org", orgOf(app))),
        wide("Results", counted(rowsOfApp.get(app))),
        wide("Evidence was read from", files.length ? files.map((one) => el("div", { class: "source" }, one)) : "nothing"),
        others.length ? wide("Also called so", others.map((one, at) => [at ? ", " : "", one])) : ""));
  }
  function showOrg(link) {
    const app = APPS.find((one) => isOrg(one) && orgOf(one) === link.org);
    if (app === undefined) missing(`Org ${link.org}`);
    else showResults(`The org's own controls: ${link.org}`, app, link, el("p", {}, counted(rowsOfApp.get(app))));
  }

  function showControl(id) {
    const number = controls.findIndex((control) => control.id === id);
    if (number < 0) return missing(`Control ${id}`);
    const control = controls[number];
    const rows = [...(rowsOfControl.get(number) || [])].sort((a, b) => LETTERS.indexOf(verdictOf(a)) - LETTERS.indexOf(verdictOf(b)) || byScore(a, b));
    const steps = Object.entries(control.steps).filter(([, some]) => some.length).map(([kind, some]) => [
      control.kinds.length > 1 ? el("h4", {}, `Of an ${KINDS[kind]}`.replace("an connected", "a connected")) : "",
      el("ol", {}, some.map(([verdict, says]) => el("li", {},
        verdict === "require" ? [el("b", {}, "fail"), `, if so: ${says.join(" ")} Otherwise `, el("b", {}, "pass"), "."] : [el("b", {}, verdict), `: ${says.join(" ")}`]))),
    ]);
    const place = el("div", {});
    const turner = el("div", { class: "pager" });
    const turn = (page) => {
      place.replaceChildren(table(rows.slice((page - 1) * PAGE, page * PAGE), rows, ["verdict", "severity", "app", "found"]));
      pager(turner, Math.ceil(rows.length / PAGE), page, turn);
    };
    if (rows.length) turn(1);
    showPage(control.id,
      el("p", { class: "lead" }, control.name),
      el("dl", { class: "finding" },
        pair("Severity", severityText(control)),
        pair("Stated at", control.origin),
        pair("Overridden", control.overridden),
        pair("Applies to", control.kinds.map((kind) => KINDS[kind]).join(", ")),
        pair("Assessed", control.assessed),
        pair("Recommended", control.recommended),
        pair("Threat", control.threat),
        pair("Deadlines", list(control.deadlines)),
        pair("To mend", control.remediation),
        pair("May break", control.may_break),
        pair("Higher risk when", list(control.higher)),
        pair(`Low risk when${control.needs ? ` (${control.needs} of)` : ""}`, list(control.lower)),
        pair("Pages differ", list(control.contradictions)),
        pair("Notes", list(control.notes)),
        pair("Published page", outside(control.page)),
        steps.length ? pair("What decides it", el("p", {}, "The first of these steps whose condition holds:"), steps) : "",
        control.rule ? pair("As the catalogue states it", el("pre", {}, control.rule), el("span", { class: "sub" }, "SHA-256 of the rule ", el("span", { class: "hash" }, control.digest))) : ""),
      el("h3", {}, `Results: ${counted(rows)}`), place, turner);
  }

  // The whole report on paper.

  function printed(row) {
    const control = controlOf(row);
    const evidence = evidenceOf(row);
    const line = (name, ...content) => (filled(content).length ? el("p", {}, el("b", {}, `${name}: `), content) : "");
    const [context, reasons] = contextText(row);
    const waiver = waiverOf(row);
    const attestation = attestationOf(row);
    return el("div", { class: "printed" },
      el("p", { class: "head" }, letter(verdictOf(row)), " ", badge(control.severity), ` ${failing(row) ? `${score(scoreOf(row))} ` : ""}${control.id}: ${messageOf(row)}`),
      line("Control", `${control.name}, CVSS ${score(control.cvss[0])}-${score(control.cvss[1])}`),
      line("In context", context, reasons.length ? `. ${reasons.map((one) => one.replace(/\.$/, "")).join("; ")}.` : ""),
      line("Evidence", evidence.slice(0, EVIDENCE).map((one, at) => [at ? "; " : "", el("code", {}, describe(one)), where(one) ? ` at ${where(one)}` : ""]),
        evidence.length > EVIDENCE ? `; and ${plural(evidence.length - EVIDENCE, "setting")} more, which the page itself shows` : ""),
      line("Accepted", acceptedText(row)),
      waiver ? line("Waiver", waiverText(waiver)) : "",
      attestation ? line("Attestation", attestationText(attestation)) : "",
      line("Baseline", changeText(row)),
      failing(row) ? [line("Recommended", control.recommended), line("To mend", control.remediation), line("May break", control.may_break)] : "");
  }
  function printedByApp(rows) {
    return [...grouped(rows, (row) => results.app[row])].sort(([a], [b]) => compareWorst(a, b)).flatMap(([app, some]) => [
      el("h3", {}, isOrg(app) ? `The org itself${several ? `: ${orgOf(app)}` : ""}` : `${labelOf(app)} (${nameOf(app)}, ${KINDS[apps.kind[app]]}${several ? `, ${orgOf(app)}` : ""})`),
      ...some.map(printed),
    ]);
  }
  function appsInShort() {
    const rows = APPS.filter((app) => !isOrg(app)).sort(compareWorst);
    const head = ["App", "Full name", "Kind", ...(several ? ["Org"] : []), ...SEVERITIES];
    return el("table", { class: "list" },
      el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, rows.map((app) => el("tr", {}, [labelOf(app), nameOf(app), KINDS[apps.kind[app]], ...(several ? [orgOf(app)] : []), ...worst[app].map(count)]
        .map((text) => el("td", {}, text))))));
  }
  function bounded(title, rows, empty) {
    const some = rows.slice(0, PRINTED);
    return [
      el("h2", {}, title),
      rows.length ? "" : el("p", {}, empty),
      rows.length > some.length
        ? el("p", { class: "banner" }, `The ${count(PRINTED)} with the highest scores of ${count(rows.length)} are printed. The other ${count(rows.length - some.length)} are on the page itself, and in the results file.`)
        : "",
      ...printedByApp(some),
    ];
  }
  let closed = [];
  function beforePrint() {
    const rows = [...ROWS].sort(byScore);
    closed = [...document.querySelectorAll("#overview details:not([open])")];
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

  findingsForm.app.append(...[...APPS].sort(compareNames).map((app) =>
    el("option", { value: filterOf(app) }, `${calledOf(app)}${several ? ` (${orgOf(app)})` : ""}`)));
  for (const [form, render] of [[findingsForm, renderFindings], [matrixForm, renderMatrix]]) {
    const changed = (event) => {
      form.page.value = "";
      clearTimeout(typing);
      // Not at every letter; and the fields are emptied only after the event that says so.
      if (event.type === "reset" || event.target.type === "search") typing = setTimeout(render, 120);
      else render();
    };
    form.addEventListener("input", changed);
    form.addEventListener("reset", changed);
    form.addEventListener("submit", (event) => event.preventDefault());
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || detail.open) return;
    if (/^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    event.preventDefault();
    if (byId("matrix").classList.contains("current") && !matrixForm.find.disabled) return matrixForm.find.focus();
    if (!byId("findings").classList.contains("current")) {
      location.hash = "#findings";
      route();
    }
    findingsForm.q.focus();
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
