// Draws the charts from the rows in the page, in the colours of the style sheet; hands out the rows; copies the SQL.
(() => {
  "use strict";
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const holders = [...document.querySelectorAll("[data-chart]")];
  const views = new Map();
  // The width of A4 less its margins, in CSS pixels.
  const PAPER = 700;
  const parsed = new Map();

  // Python wrote what could have ended the element as \u and its code.
  const csvOf = (id) =>
    byId(`rows-${id}`).textContent.replace(/\\u([0-9a-f]{4})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));

  // What is not known is nothing in the CSV, and stays nothing. A day is local midnight, so that no time zone moves it.
  const read = {
    number: Number,
    boolean: (text) => text === "true",
    day: (text) => new Date(...text.split("-").map((part, i) => part - (i === 1))).getTime(),
    moment: (text) => new Date(text).getTime(),
    text: (text) => text,
  };

  function rowsOf(id) {
    if (!parsed.has(id)) {
      const types = JSON.parse(byId(`rows-${id}`).dataset.types);
      const [names, ...lines] = split(csvOf(id));
      const readers = names.map((name) => read[types[name] || "text"]);
      parsed.set(id, lines.map((cells) =>
        Object.fromEntries(cells.map((cell, i) => [names[i], cell === "" ? null : readers[i](cell)]))));
    }
    return parsed.get(id);
  }

  // CSV as lists of cells; a quoted cell may hold commas, line feeds and doubled quotes.
  function split(text) {
    const lines = [[]];
    for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\n]*))(,|\n)/g)) {
      lines.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      if (end === "\n") lines.push([]);
    }
    lines.pop();
    return lines;
  }

  function themed(value, style) {
    if (Array.isArray(value)) return value.map((one) => themed(one, style));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, themed(one, style)]));
    return typeof value === "string" && value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
  }

  function configured(width, onPaper) {
    // Paper is white, whatever the screen is.
    root.classList.toggle("light", onPaper);
    const config = themed(JSON.parse(byId("vega-config").textContent), getComputedStyle(root));
    root.classList.remove("light");
    if (width < 560) {
      config.legend.orient = "bottom";
      config.legend.columns = 1;
      config.legend.labelLimit = 260;
      config.legend.layout = { bottom: { direction: "vertical", anchor: "start" } };
      config.axis.labelLimit = 110;
      config.axis.labelFontSize = config.axis.titleFontSize = config.legend.labelFontSize = 11;
    }
    return config;
  }

  // Words or figures in each column of a chart need this much room; a phone shows it by scrolling. A chart over time fits every width,
  // so that its newest end is always seen.
  const CROWDED = 560;
  const OVER_TIME = ["session", "month"];
  const isCrowded = (spec) =>
    (spec.layer || [spec]).some((one) => {
      const x = one.encoding?.x || spec.encoding?.x;
      return ["text", "rect"].includes(one.mark?.type || one.mark) && ["ordinal", "nominal"].includes(x?.type) && !OVER_TIME.includes(x.field);
    });

  function embedded(place, holder, width, onPaper) {
    const id = holder.dataset.chart;
    const spec = JSON.parse(byId(`spec-${id}`).textContent);
    spec.datasets = { ...spec.datasets, rows: rowsOf(id).map((row) => ({ ...row })) };
    spec.width = onPaper ? width : "container";
    // Flatter, so that two exhibits go on a page.
    if (onPaper && typeof spec.height === "number") spec.height = Math.round(0.72 * spec.height);
    spec.autosize = { type: "fit-x", contains: "padding" };
    spec.padding = 2;
    // Beside the chart, since what is within a picture is not read out.
    const bind = onPaper ? document.createElement("div") : byId(`controls-${id}`);
    bind.replaceChildren();
    const config = configured(width, onPaper);
    return vegaEmbed(place, spec, { mode: "vega-lite", renderer: "svg", actions: false, ast: true, bind, config });
  }

  async function draw(holder) {
    const frame = holder.parentElement;
    const scrolls = frame.clientWidth < CROWDED && isCrowded(JSON.parse(byId(`spec-${holder.dataset.chart}`).textContent));
    holder.style.width = scrolls ? `${CROWDED}px` : "";
    // What scrolls must be within reach of the keyboard.
    if (scrolls) Object.entries({ tabindex: "0", role: "region", "aria-label": "Chart, scrolls sideways" }).forEach(([k, v]) => frame.setAttribute(k, v));
    else ["tabindex", "role", "aria-label"].forEach((name) => frame.removeAttribute(name));
    const width = Math.floor(holder.clientWidth);
    try {
      views.get(holder)?.finalize();
      views.set(holder, await embedded(holder, holder, width, false));
      holder.classList.remove("failed");
      holder.dataset.drawn = width;
    } catch (error) {
      holder.classList.add("failed");
      holder.textContent = "This chart could not be drawn; its table below holds the same figures.";
      console.error(holder.dataset.chart, error);
    }
  }

  // Drawn beforehand, since a browser that prints waits for nothing: the same chart, light, as wide as the paper.
  async function drawForPaper(holder) {
    if (holder.classList.contains("failed")) return;
    const made = await embedded(document.createElement("div"), holder, PAPER, true);
    const paper = document.createElement("div");
    paper.className = "paper";
    paper.innerHTML = await made.view.toSVG();
    made.finalize();
    holder.parentElement.after(paper);
  }

  // Two funds of many: the reader chooses, a phone shows two from the start.
  function choose(table) {
    const symbols = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.dataset.value);
    if (symbols.length < 3) return;
    const wanted = table.dataset.sideBySide.split(",").filter((symbol) => symbols.includes(symbol));
    const first = [...wanted, ...symbols.filter((symbol) => !wanted.includes(symbol))].slice(0, 2);
    const narrow = table.parentElement.clientWidth < 150 * (symbols.length + 1);
    const holder = document.createElement("p");
    holder.className = "choice";
    const selects = ["Compare", "with"].map((word, i) => {
      const label = document.createElement("label");
      const select = document.createElement("select");
      const options = i ? symbols : ["all", ...symbols];
      select.append(...options.map((name) => new Option(name === "all" ? "all funds" : name, name)));
      select.value = i ? first[1] : narrow ? first[0] : "all";
      label.append(`${word} `, select);
      holder.append(label);
      select.addEventListener("change", show);
      return select;
    });
    function show() {
      const all = selects[0].value === "all";
      selects[1].disabled = all;
      const chosen = all ? symbols : selects.map((select) => select.value);
      for (const row of table.rows)
        [...row.cells].slice(1).forEach((cell, i) => { cell.hidden = !chosen.includes(symbols[i]); });
    }
    table.parentElement.before(holder);
    show();
  }

  document.querySelectorAll("[data-side-by-side]").forEach(choose);

  let drawing = Promise.resolve();
  function drawAll() {
    drawing = drawing.then(async () => {
      delete root.dataset.drawn;
      for (const holder of holders) await draw(holder);
      root.dataset.drawn = "yes";
    });
    return drawing;
  }

  function download(button) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csvOf(button.dataset.csv)], { type: "text/csv;charset=utf-8" }));
    link.download = button.dataset.file;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2_000);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.matches(".download")) download(button);
    if (button?.matches(".copy")) copy(button);
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  let waiting;
  let known = innerWidth;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (innerWidth !== known) { known = innerWidth; drawAll(); }
    }, 150);
  });

  // Where the reader is.
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const id of links.keys()) if (byId(id)) seen.observe(byId(id));

  drawAll().then(async () => {
    for (const holder of holders) await drawForPaper(holder);
    root.dataset.paper = "yes";
  });
})();
