// Draws figures when they come into view, and the tables that are sorted and filtered.
(() => {
  "use strict";
  const COLOURS = new Set([
    "ground", "raised", "ink", "muted", "faint", "line", "blue", "sky", "green", "yellow", "orange",
    "red", "pink", "brown", "salmon", "grey", "steel", "slate", "scale0", "scale1", "scale2",
    "scale3", "scale4",
  ]);
  const PAGE = 50; // rows of a table that are shown at once
  const MOST_NUMBERS = 300; // rows of a figure's numbers
  const root = document.documentElement;
  const drawn = new Set();
  let content = null; // figures, tables and shared lists
  let plotly = null; // a promise of the library
  const byId = (id) => document.getElementById(id);

  function make(name, properties, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  }

  async function unpack(id) {
    const bytes = Uint8Array.from(atob(byId(id).textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  // Themes ---------------------------------------------------------------------------------------

  const asksForDark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("asharpe-theme"); } catch { /* a file has no storage */ }

  function theme() {
    return chosen ?? (asksForDark.matches ? "dark" : "light");
  }

  function applyTheme() {
    root.dataset.theme = theme();
    byId("theme").textContent = theme() === "dark" ? "Light" : "Dark";
    byId("theme").setAttribute("aria-label", `Change to ${theme() === "dark" ? "light" : "dark"} colours`);
    for (const name of drawn) draw(name);
  }

  byId("theme").addEventListener("click", () => {
    chosen = theme() === "dark" ? "light" : "dark";
    try { localStorage.setItem("asharpe-theme", chosen); } catch { /* likewise */ }
    applyTheme();
  });
  asksForDark.addEventListener("change", applyTheme);

  // Figures --------------------------------------------------------------------------------------

  function colour(value) {
    if (Array.isArray(value)) return value.map(colour);
    const known = typeof value === "string" && value[0] === "@" && COLOURS.has(value.slice(1));
    return known ? getComputedStyle(root).getPropertyValue(`--${value.slice(1)}`).trim() : value;
  }

  function resolved(value, key = "") {
    if (/color$/i.test(key)) return colour(value);
    if (Array.isArray(value)) {
      return value.some((each) => each !== null && typeof each === "object")
        ? value.map((each) => resolved(each)) : value;
    }
    if (value === null || typeof value !== "object") return value;
    if ("ref" in value) return content.shared[value.ref];
    return Object.fromEntries(Object.entries(value).map(([k, each]) => [k, resolved(each, k)]));
  }

  function layoutOf(figure, element) {
    const line = colour("@line");
    const layout = {
      margin: { l: 58, r: 14, t: 12, b: 44 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("@ink") },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemsizing: "constant" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("@muted"), activecolor: colour("@ink") },
      hoverlabel: { bgcolor: colour("@raised"), bordercolor: colour("@faint"), font: { color: colour("@ink") } },
      // A finger that moves over a figure scrolls the page.
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      ...resolved(figure.layout),
    };
    const axes = new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((k) => /^[xy]axis\d*$/.test(k))]);
    for (const name of axes) {
      layout[name] = {
        gridcolor: line, zerolinecolor: colour("@faint"), linecolor: colour("@faint"),
        zeroline: name[0] === "y", automargin: true, ...layout[name],
      };
    }
    if (element.clientWidth < 480) {
      layout.margin = { ...layout.margin, l: 44, r: 6 };
      layout.font.size = 11;
    }
    return layout;
  }

  function library() {
    plotly ??= unpack("packed-plotly").then((source) => {
      document.head.append(make("script", { textContent: source }));
      return window.Plotly;
    });
    return plotly;
  }

  async function draw(name) {
    drawn.add(name);
    const element = byId(name);
    const figure = content.figures[name];
    const { react } = await library();
    await react(element, resolved(figure.data), layoutOf(figure, element), {
      responsive: true, displaylogo: false, doubleClick: "reset",
      displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
      modeBarButtons: [["toImage", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
    });
    element.dataset.drawn = "yes";
  }

  async function drawAll() {
    for (const element of document.querySelectorAll(".plot")) {
      if (!drawn.has(element.id)) await draw(element.id);
    }
    root.dataset.drawn = "all";
  }

  function numbersOf(name) {
    const rows = [];
    for (const trace of resolved(content.figures[name].data)) {
      const x = trace.x ?? [], y = trace.y ?? [];
      for (let i = 0; i < Math.max(x.length, y.length); i += 1) {
        if (y[i] !== null && x[i] !== null) rows.push([trace.name ?? "", x[i], y[i]]);
      }
    }
    const shown = rows.slice(0, MOST_NUMBERS);
    const row = (cells) => make("tr", {}, ...cells.map((cell) => make("td", { textContent: cell })));
    const head = make("tr", {}, ...["series", "x", "y"].map((t) => make("th", { textContent: t, scope: "col" })));
    const said = rows.length > shown.length ? `The first ${shown.length} of ${rows.length} points` : `${rows.length} points`;
    const table = make("table", {}, make("caption", { textContent: said }), make("thead", {}, head),
      make("tbody", {}, ...shown.map(row)));
    const scroll = make("div", { className: "scroll", tabIndex: 0 }, table);
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `The numbers of ${name}`);
    return scroll;
  }

  // Tables ---------------------------------------------------------------------------------------

  function cellText(value, digits) {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    const whole = Number.isInteger(value) && digits === null;
    const tiny = value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e6);
    const text = whole ? String(value) : digits !== null ? value.toFixed(digits)
      : tiny ? value.toExponential(2) : String(Number(value.toPrecision(3)));
    return text.replace(/^-(?=[0.]*$)/, "").replace(/^-/, "−");
  }

  // `lr<0.001` compares a column with a number; other words must stand somewhere in the row.
  function conditionOf(word, head) {
    const parts = /^([^<>=]+)(<=|>=|<|>|=)(.+)$/.exec(word);
    if (!parts) return (row, text) => text.includes(word);
    const [, name, sign, right] = parts;
    const names = head.map((title) => title.toLowerCase().replaceAll(" ", "_"));
    let column = names.indexOf(name);
    if (column < 0) column = names.findIndex((title) => title.endsWith(`/${name}`));
    if (column < 0) column = names.findIndex((title) => title.startsWith(name));
    if (column < 0) return () => false;
    const number = Number(right);
    return (row) => {
      const value = row[column];
      if (value === null) return false;
      if (sign === "=") return String(value).toLowerCase() === right || value === number;
      if (typeof value !== "number" || Number.isNaN(number)) return false;
      return { "<": value < number, ">": value > number, "<=": value <= number, ">=": value >= number }[sign];
    };
  }

  function compared(a, b) {
    if (a === null || b === null) return (a === null) - (b === null); // what is undefined comes last
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  }

  function setUp(name) {
    const { head, numeric, rows, digits } = content.tables[name];
    const table = byId(name), body = table.tBodies[0], filter = byId(`${name}-filter`);
    const more = make("button", { type: "button", className: "more" });
    const headers = [...table.tHead.rows[0].cells];
    const state = { column: null, descending: false, limit: PAGE };
    const texts = rows.map((row) => row.map((v, i) => cellText(v, digits[i])).join(" ").toLowerCase());
    table.closest(".scroll").after(more);

    function show() {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const conditions = words.map((word) => conditionOf(word, head));
      let found = rows.map((_, i) => i).filter((i) => conditions.every((holds) => holds(rows[i], texts[i])));
      if (state.column !== null) {
        const column = state.column, sign = state.descending ? -1 : 1;
        found = found.map((i) => [rows[i][column], i]).sort(([a, i], [b, j]) => {
          if (a === null || b === null) return compared(a, b) || i - j;
          return sign * compared(a, b) || i - j;
        }).map(([, i]) => i);
      }
      body.replaceChildren(...found.slice(0, state.limit).map((i) => make("tr", {},
        ...rows[i].map((value, c) => {
          const cell = make(c === 1 ? "th" : "td", { textContent: cellText(value, digits[c]) });
          if (c === 1) cell.scope = "row";
          if (numeric[c]) cell.className = "number";
          return cell;
        }))));
      byId(`${name}-count`).textContent = `${found.length} of ${rows.length} configurations`;
      more.hidden = found.length <= state.limit;
      more.textContent = `Show ${Math.min(PAGE, found.length - state.limit)} more`;
    }

    headers.forEach((header, column) => {
      const button = make("button", { type: "button", textContent: header.textContent });
      header.replaceChildren(button);
      button.addEventListener("click", () => {
        const again = state.column === column;
        state.descending = again ? !state.descending : numeric[column] && column > 1;
        state.column = column;
        headers.forEach((each) => each.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
        show();
      });
    });
    filter.addEventListener("input", () => { state.limit = PAGE; show(); });
    more.addEventListener("click", () => { state.limit += PAGE; show(); });
    show();
  }

  // ----------------------------------------------------------------------------------------------

  async function start() {
    byId("theme").hidden = false;
    applyTheme();
    if (matchMedia("(max-width: 1079px)").matches) byId("contents").open = false;
    if (typeof DecompressionStream === "undefined") {
      throw new Error("this browser is too old for figures: one of 2023 or later draws them");
    }
    content = JSON.parse(await unpack("packed-data"));
    Object.keys(content.tables).forEach(setUp);
    for (const details of document.querySelectorAll(".numbers")) {
      details.addEventListener("toggle", () => details.append(numbersOf(details.dataset.figure)), { once: true });
    }
    const seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        if (!drawn.has(target.id)) draw(target.id);
      }
    }, { rootMargin: "400px" });
    document.querySelectorAll(".plot").forEach((element) => seen.observe(element));
    byId("draw").hidden = false;
    byId("draw").addEventListener("click", drawAll);
    addEventListener("beforeprint", drawAll);
    root.dataset.ready = "yes";
  }

  start().catch((error) => {
    const unable = byId("unable");
    unable.hidden = false;
    unable.textContent = `Figures cannot be drawn: ${error.message}`;
    console.error(error);
  });
})();
