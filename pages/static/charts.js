// Draws what stands in the data-chart attributes of a page, by its kind, with Observable Plot; and anew when the width changes.
"use strict";
(() => {
  const seconds = (s) => s < 1 ? `${Math.round(1000 * s)} ms` : s < 120 ? `${+s.toPrecision(3)} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
  const formats = {
    number: (v) => Math.abs(v) >= 1e5 ? d3.format(",.0f")(v) : `${+v.toPrecision(4)}`,
    percent: (v) => `${+(100 * v).toPrecision(3)}%`,
    usd: (v) => v === 0 ? "$0" : Math.abs(v) >= 1 ? d3.format("$,.2f")(v) : `${v < 0 ? "-" : ""}$${+Math.abs(v).toPrecision(2)}`,
    seconds,
    count: (v) => d3.format(",")(v),
    time: (v) => new Date(1000 * v).toISOString().slice(0, 19).replace("T", " "),
  };
  const numeric = (v) => v === null || v === undefined ? NaN : v;
  const isTime = (axis) => axis.unit === "time";
  const place = (axis, v) => isTime(axis) ? new Date(1000 * v) : numeric(v);

  const scale = (axis, extra = {}) => {
    const options = { label: axis.label || null, grid: true, nice: false, ...extra };
    if (isTime(axis)) options.type = "utc";
    else {
      options.tickFormat = formats[axis.unit];
      if (axis.scale === "log") options.type = "log";
    }
    if (axis.low !== null && axis.high !== null) options.domain = [place(axis, axis.low), place(axis, axis.high)];
    return options;
  };

  const common = (width, chart, more) => ({
    width, height: chart.height || 240, marginLeft: 52, marginRight: 16, marginBottom: 34, className: "chart",
    style: { background: "none", overflow: "visible" }, ...more,
  });

  // What happened, as lines across; their words are told when they are pointed at.
  const events = (chart) => (chart.markers || []).length === 0 ? [] : [
    Plot.ruleX(chart.markers, { x: (m) => place(chart.x, m.x), stroke: "var(--warn)", strokeDasharray: "2,3" }),
    Plot.dot(chart.markers, { x: (m) => place(chart.x, m.x), frameAnchor: "top", r: 4, fill: "var(--warn)" }),
    Plot.tip(chart.markers, Plot.pointerX({ x: (m) => place(chart.x, m.x), frameAnchor: "top", title: "label", maxRadius: 12, fill: "var(--card)", stroke: "var(--line)" })),
  ];

  const lines = (chart, width) => {
    const rows = chart.series.flatMap((s) => s.x.map((x, i) => ({
      name: s.name, color: s.color, dashed: s.dashed, x: place(chart.x, x), y: numeric(s.y[i]),
      low: s.low.length ? numeric(s.low[i]) : NaN, high: s.high.length ? numeric(s.high[i]) : NaN,
    })));
    return Plot.plot(common(width, chart, {
      x: scale(chart.x, { grid: false }), y: scale(chart.y, { insetTop: 4 }),
      marks: [
        Plot.areaY(rows, { x: "x", y1: "low", y2: "high", z: "name", fill: (r) => r.color, fillOpacity: 0.16, clip: true }),
        Plot.line(rows, { x: "x", y: "y", z: "name", stroke: (r) => r.color, strokeWidth: 1.8, strokeDasharray: (r) => r.dashed ? "5,4" : null, clip: true }),
        ...chart.series.filter((s) => s.x.length === 1).map((s) => Plot.dot([s], { x: place(chart.x, s.x[0]), y: numeric(s.y[0]), fill: s.color })),
        ...events(chart),
        Plot.tip(rows, Plot.pointerX({ x: "x", y: "y", fill: "var(--card)", stroke: "var(--line)", title: (r) => `${r.name}\n${formats[chart.x.unit](isTime(chart.x) ? r.x / 1000 : r.x)}: ${formats[chart.y.unit](r.y)}${Number.isFinite(r.low) ? `\n${formats[chart.y.unit](r.low)} to ${formats[chart.y.unit](r.high)}` : ""}` })),
      ],
    }));
  };

  const shares = (chart, width) => {
    const names = Object.keys(chart.parts);
    const rows = names.flatMap((name) => chart.at.map((x, i) => ({ name, x: place(chart.x, x), y: chart.parts[name][i] || 0 })));
    const whole = d3.rollup(rows, (group) => d3.sum(group, (r) => r.y), (r) => +r.x);
    return Plot.plot(common(width, chart, {
      x: scale(chart.x, { grid: false }), y: { label: null, percent: true, tickFormat: (v) => `${v}%`, grid: true, ticks: 4 },
      marks: [
        Plot.areaY(rows, Plot.stackY({ offset: "normalize", order: names }, { x: "x", y: "y", z: "name", fill: (r) => chart.colors[r.name], stroke: "var(--card)", strokeWidth: 0.7, curve: "step-after" })),
        ...events(chart),
        Plot.tip(rows, Plot.pointerX(Plot.stackY({ offset: "normalize", order: names }, { x: "x", y: "y", z: "name", fill: "var(--card)", stroke: "var(--line)", title: (r) => `${r.name}: ${formats.percent(r.y / (whole.get(+r.x) || 1))}\n${formats[chart.x.unit](isTime(chart.x) ? r.x / 1000 : r.x)}` }))),
      ],
    }));
  };

  const rowLabels = (names, width) => Math.min(Math.max(...names.map((name) => name.length), 4) * 6.8 + 14, width * 0.45);
  const reference = (chart) => chart.reference === null ? [] : [
    Plot.ruleX([chart.reference], { stroke: "var(--ink)", strokeDasharray: "4,3" }),
    Plot.text([chart.reference], { x: (v) => v, frameAnchor: "top", dy: -12, text: () => chart.reference_label, fill: "var(--quiet)" }),
  ];

  const intervals = (chart, width) => {
    const names = chart.rows.map((row) => row.name);
    return Plot.plot(common(width, chart, {
      height: 44 + 28 * names.length, marginTop: 22, marginLeft: rowLabels(names, width), x: scale(chart.x), y: { domain: names, label: null, tickSize: 0 },
      marks: [
        ...reference(chart),
        Plot.ruleY(chart.rows.filter((row) => row.low !== null && row.high !== null), { y: "name", x1: "low", x2: "high", stroke: (row) => row.color, strokeWidth: 2.5, clip: true }),
        Plot.dot(chart.rows.filter((row) => row.value !== null), { y: "name", x: "value", r: 5, stroke: (row) => row.color, strokeWidth: 1.6, fill: (row) => row.hollow ? "var(--card)" : row.color,
          title: (row) => `${row.name}: ${formats[chart.x.unit](row.value)}${row.low === null ? "" : ` (${formats[chart.x.unit](row.low)} to ${formats[chart.x.unit](row.high)})`}${row.note ? `\n${row.note}` : ""}`, tip: { fill: "var(--card)", stroke: "var(--line)" } }),
      ],
    }));
  };

  const bars = (chart, width) => {
    const names = chart.bars.map((bar) => bar.name);
    return Plot.plot(common(width, chart, {
      height: 44 + 26 * names.length, marginTop: 22, marginLeft: rowLabels(names, width), x: scale(chart.x), y: { domain: names, label: null, tickSize: 0 },
      marks: [
        Plot.barX(chart.bars, { y: "name", x: "value", fill: (bar) => bar.color, rx: 2, insetTop: 3, insetBottom: 3, title: (bar) => `${bar.name}: ${formats[chart.x.unit](bar.value)}${bar.note ? `\n${bar.note}` : ""}`, tip: { fill: "var(--card)", stroke: "var(--line)" } }),
        ...reference(chart),
      ],
    }));
  };

  const histogram = (chart, width) => {
    const bins = chart.counts.map((count, i) => ({ low: chart.edges[i], high: chart.edges[i + 1], count }));
    return Plot.plot(common(width, chart, {
      x: scale(chart.x, { grid: false }), y: { label: null, grid: true, ticks: 4 },
      marks: [Plot.rectY(bins, { x1: "low", x2: "high", y: "count", fill: chart.color, inset: 0.5 }), Plot.ruleY([0], { stroke: "var(--line)" })],
    }));
  };

  // Names beside their dots where they meet neither each other nor a dot: the first free place of eight, else none.
  const named = (chart) => (index, scales, values, dimensions, context, next) => {
    const group = next(index, scales, values, dimensions, context);
    const dots = chart.points.map((p) => [scales.x(place(chart.x, p.x)), scales.y(place(chart.y, p.y))]);
    const taken = dots.map(([x, y]) => [x - 5, y - 5, x + 5, y + 5]);
    const free = ([l, t, r, b]) => l >= 0 && r <= dimensions.width && t >= 0 && b <= dimensions.height && !taken.some(([L, T, R, B]) => l < R && r > L && t < B && b > T);
    chart.points.forEach((point, i) => {
      if (!point.labelled || !point.name || !Number.isFinite(dots[i][0]) || !Number.isFinite(dots[i][1])) return;
      const [x, y] = dots[i], w = 6.6 * point.name.length, h = 13;
      const spots = [[9, -h / 2], [-9 - w, -h / 2], [-w / 2, -h - 7], [-w / 2, 8], [8, -h - 5], [8, 6], [-8 - w, -h - 5], [-8 - w, 6], [-w / 2, -h - 22], [-w / 2, 22], [26, -h - 16], [26, 14]];
      const spot = spots.map(([dx, dy]) => [x + dx, y + dy, x + dx + w, y + dy + h]).find(free);
      if (!spot) return;
      taken.push(spot);
      const text = context.document.createElementNS("http://www.w3.org/2000/svg", "text");
      text.setAttribute("x", spot[0]); text.setAttribute("y", spot[1] + 10); text.setAttribute("fill", point.color);
      text.setAttribute("font-weight", "600"); text.textContent = point.name;
      group.append(text);
    });
    return group;
  };

  const scatter = (chart, width) => {
    const at = { x: (p) => place(chart.x, p.x), y: (p) => place(chart.y, p.y) };
    const paths = chart.lines.flatMap((s) => s.x.map((x, i) => ({ name: s.name, color: s.color, dashed: s.dashed, x: place(chart.x, x), y: numeric(s.y[i]) })));
    const said = (p) => [p.name, p.group, chart.bare ? "" : `${formats[chart.x.unit](p.x)}, ${formats[chart.y.unit](p.y)}`].filter(Boolean).join("\n");
    return Plot.plot(common(width, chart, {
      x: chart.bare ? { axis: null } : scale(chart.x), y: chart.bare ? { axis: null } : scale(chart.y), inset: chart.bare ? 10 : 6,
      ...(chart.bare ? { marginLeft: 4, marginBottom: 4, marginRight: 4 } : {}), symbol: { type: "identity" },
      marks: [
        Plot.line(paths, { x: "x", y: "y", z: "name", stroke: (r) => r.color, strokeDasharray: (r) => r.dashed ? "4,3" : null }),
        Plot.dot(chart.points, { ...at, fill: (p) => p.color, fillOpacity: chart.bare ? 0.75 : 1, stroke: "var(--card)", strokeWidth: 0.7, r: chart.bare ? 4 : 5.5, symbol: (p) => p.shape, href: (p) => p.href || null, title: said,
          tip: { fill: "var(--card)", stroke: "var(--line)" }, render: named(chart) }),
      ],
    }));
  };

  const kinds = { lines, shares, intervals, bars, histogram, scatter };

  const draw = (plot) => {
    const width = Math.round(plot.getBoundingClientRect().width), drawn = `${width} ${plot.dataset.chart}`;
    if (width < 40 || (plot.drawn === drawn && plot.firstChild)) return;
    const chart = JSON.parse(plot.dataset.chart);
    const drawing = kinds[chart.kind](chart, width);
    drawing.querySelectorAll("style").forEach((style) => style.remove());  // style.css has its rules: a page allows no others
    // The figure says in a sentence and in a table what is drawn: a screen reader is spared the strokes.
    drawing.setAttribute("aria-hidden", "true");
    drawing.querySelectorAll("[aria-label]").forEach((part) => part.removeAttribute("aria-label"));
    drawing.querySelectorAll("a").forEach((link) => link.setAttribute("tabindex", "-1"));
    plot.replaceChildren(drawing);
    plot.drawn = drawn;
  };
  const drawAll = (root) => root.querySelectorAll(".plot[data-chart]").forEach((plot) => { draw(plot); resized.observe(plot); });
  const resized = new ResizeObserver((entries) => entries.forEach((entry) => draw(entry.target)));

  document.addEventListener("DOMContentLoaded", () => drawAll(document));
  document.addEventListener("htmx:afterSwap", () => drawAll(document));
  document.addEventListener("toggle", (event) => drawAll(event.target), true);
  if (document.readyState !== "loading") drawAll(document);
})();
