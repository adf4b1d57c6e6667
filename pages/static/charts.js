// Draws what stands in the data-chart attributes of a page, by its kind, with Observable Plot; and anew when the width changes.
"use strict";
(() => {
  const seconds = (s) => s < 1 ? `${Math.round(1000 * s)} ms` : s < 120 ? `${+s.toPrecision(3)} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
  const formats = {
    number: (v) => Math.abs(v) >= 1e5 ? d3.format(",.0f")(v) : `${+v.toPrecision(4)}`,
    signed: (v) => Math.abs(v) < 1e-12 ? "0" : d3.format(Math.abs(v) < 10 ? "+.3f" : "+,.0f")(v),
    percent: (v) => `${+(100 * v).toPrecision(3)}%`,
    usd: (v) => v === 0 ? "$0" : Math.abs(v) >= 1 ? d3.format("$,.2f")(v) : `${v < 0 ? "-" : ""}$${+Math.abs(v).toPrecision(2)}`,
    seconds,
    count: (v) => d3.format(",")(v),
    time: (v) => new Date(1000 * v).toISOString().slice(0, 19).replace("T", " "),
  };
  const numeric = (v) => v === null || v === undefined ? NaN : v;
  const isTime = (axis) => axis.unit === "time";
  const place = (axis, v) => isTime(axis) ? new Date(1000 * v) : numeric(v);

  // Round numbers of a logarithmic scale: powers of ten, and more between if these are few.
  const roundSteps = (low, high, most) => {
    const powers = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
    const steps = [[1], [1, 3], [1, 2, 5]].map((factors) => powers.flatMap((power) => factors.map((factor) => +`${factor}e${power}`)).filter((step) => step >= low && step <= high));
    const ticks = steps.find((some) => some.length >= 4) || steps[2], first = Math.max(ticks.indexOf(1), 0);
    return ticks.length > most ? ticks.filter((tick, i) => (i - first) % 2 === 0) : ticks;
  };

  const scale = (axis, extra = {}, width = 600) => {
    const options = { label: axis.label || null, grid: true, nice: false, ...extra };
    if (isTime(axis)) options.type = "utc";
    else {
      options.tickFormat = formats[axis.unit];
      if (axis.unit === "signed") options.tickFormat = (v) => Math.abs(v) < 1e-12 ? "0" : d3.format("+,.4~r")(v);
      if (axis.scale === "log") options.type = "log";
    }
    if (axis.low !== null && axis.high !== null) options.domain = [place(axis, axis.low), place(axis, axis.high)];
    if (axis.scale === "log" && options.domain) options.ticks = roundSteps(...options.domain, width / 55);
    return options;
  };

  const common = (width, chart, more) => ({
    width, height: chart.height || 240, marginLeft: 52, marginRight: 16, marginBottom: 34, className: "chart",
    style: { background: "none", overflow: "visible" }, ...more,
  });

  const halo = { stroke: "var(--card)", strokeWidth: 3 };
  const ruler = document.createElement("canvas").getContext("2d");
  const wide = (text, bold) => { ruler.font = `${bold ? "600 " : ""}12px system-ui, sans-serif`; return ruler.measureText(text).width; };
  const svg = (context, tag, attributes, text) => {
    const element = context.document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // A name in as many lines as hold it, broken where its parts end; else anywhere.
  const parted = (name, room) => name.split(/(?<=[^\p{L}\p{N}.])|(?<=\.)(?=\p{L}{3})/u).flatMap((part) => wide(part) <= room ? [part] : [...part]).reduce((made, part) => {
    if (made.length && wide(made.at(-1) + part) <= room) made[made.length - 1] += part; else made.push(part);
    return made;
  }, []);

  // What is pointed at says its whole name, then its numbers.
  const tip = { fill: "var(--card)", stroke: "var(--line)", lineWidth: 60 };
  const told = (width, name, ...lines) => [...(name ? parted(name, Math.min(250, 0.42 * width)) : []), ...lines.filter(Boolean)].join("\n");
  const range = (unit, { low, high }) => Number.isFinite(low) && `${formats[unit](low)} to ${formats[unit](high)}`;

  // What happened, as lines across; their words are told when they are pointed at.
  const events = (chart, width) => (chart.markers || []).length === 0 ? [] : [
    Plot.ruleX(chart.markers, { x: (m) => place(chart.x, m.x), stroke: "var(--warn)", strokeDasharray: "2,3" }),
    Plot.dot(chart.markers, { x: (m) => place(chart.x, m.x), frameAnchor: "top", r: 4, fill: "var(--warn)" }),
    Plot.tip(chart.markers, Plot.pointerX({ x: (m) => place(chart.x, m.x), frameAnchor: "top", title: (m) => told(width, m.label), maxRadius: 12, ...tip })),
  ];

  // Places as near to the targets as can be (least squares), in the same order, at least a gap apart: an isotonic
  // regression, solved by pooling neighbours that are out of order (Barlow et al. 1972).
  const spread = (targets, gap) => {
    const order = d3.range(targets.length).sort((a, b) => targets[a] - targets[b]), pools = [], placed = [];
    order.forEach((index, rank) => {
      let mean = targets[index] - rank * gap, size = 1;
      while (pools.length && pools.at(-1)[0] > mean) {
        const [before, count] = pools.pop();
        mean = (before * count + mean * size) / (count + size); size += count;
      }
      pools.push([mean, size]);
    });
    pools.flatMap(([mean, size]) => Array(size).fill(mean)).forEach((mean, rank) => { placed[order[rank]] = mean + rank * gap; });
    return placed;
  };

  // Names at the right ends of lines, apart from one another; with value and arrow where an end lies off the frame.
  const endLabels = (chart) => chart.series.filter((s) => s.y.some((y) => y !== null)).map((s) => {
    const y = s.y.findLast((value) => value !== null), { low, high } = chart.y;
    const arrow = low === null ? "" : y > high ? "\u2191" : y < low ? "\u2193" : "";
    return { name: s.name, color: s.color, y, text: arrow ? `${s.name} ${arrow}` : s.name };
  });
  const ends = (chart, labels) => (index, scales, values, dimensions, context) => {
    const group = svg(context, "g", { class: "names", "font-weight": 600, "text-anchor": "start" }), right = dimensions.width - dimensions.marginRight;
    const bottom = dimensions.height - dimensions.marginBottom, top = dimensions.marginTop;
    const at = labels.map((label) => Math.min(Math.max(scales.y(label.y), top), bottom));
    const placed = spread(at, 15), order = d3.range(at.length).sort((a, b) => placed[a] - placed[b]);
    order.forEach((i, rank) => { placed[i] = Math.max(placed[i], 8 + 15 * rank); });
    order.reverse().forEach((i, rank) => { placed[i] = Math.min(placed[i], bottom - 15 * rank); });
    labels.forEach((label, i) => {
      const y = placed[i];
      group.append(svg(context, "path", { d: `M${right},${at[i]}L${right + 6},${at[i]}L${right + 14},${y}`, stroke: label.color, fill: "none", "stroke-opacity": 0.7 }),
        svg(context, "text", { x: right + 18, y: y + 4, fill: label.color }, label.text));
      chart.written.add(label.name);
    });
    return group;
  };

  // Dashes are no channel of a mark: lines of each pattern are a mark of their own.
  const dashedLines = (rows, more) => [...d3.group(rows, (r) => r.dash)].map(([dash, part]) => Plot.line(part, {
    x: "x", y: "y", z: "name", stroke: (r) => r.color, strokeDasharray: dash, clip: true, ...more,
  }));

  // Margins that hold the words of the axes: at the left those of its numbers, at the right half of a moment's.
  const margins = (chart, numbers) => {
    const axis = chart.y, low = axis.low ?? d3.min(numbers), high = axis.high ?? d3.max(numbers);
    const ticks = axis.scale === "log" || !(low < high) ? [low, high].filter(Number.isFinite) : d3.ticks(low, high, 5);
    return { marginLeft: Math.max(52, 16 + (d3.max(ticks, (v) => wide(formats[axis.unit](v))) || 0)), marginRight: isTime(chart.x) ? 24 : 16 };
  };

  const lines = (chart, width) => {
    const labels = chart.named ? endLabels(chart) : [], needed = 34 + (d3.max(labels, (label) => wide(label.text, true)) || 0);
    const endNames = labels.length > 0 && width - needed >= Math.max(340, 0.55 * width);
    const rows = chart.series.flatMap((s) => s.x.map((x, i) => ({
      name: s.name, color: s.color, dash: s.dash || (s.dashed ? "5,4" : null), x: place(chart.x, x), y: numeric(s.y[i]),
      low: s.low.length ? numeric(s.low[i]) : NaN, high: s.high.length ? numeric(s.high[i]) : NaN,
    })));
    return Plot.plot(common(width, chart, {
      x: scale(chart.x, { grid: false, ...(endNames ? { labelAnchor: "center" } : {}) }), y: scale(chart.y, { insetTop: 4 }), ...margins(chart, rows.map((r) => r.y)), ...(endNames ? { marginRight: needed } : {}),
      marks: [
        Plot.areaY(rows, { x: "x", y1: "low", y2: "high", z: "name", fill: (r) => r.color, fillOpacity: 0.16, clip: true }),
        ...dashedLines(rows, { strokeWidth: 1.8 }),
        ...(endNames ? [ends(chart, labels)] : []),
        ...chart.series.filter((s) => s.x.length === 1).map((s) => Plot.dot([s], { x: place(chart.x, s.x[0]), y: numeric(s.y[0]), fill: s.color })),
        ...events(chart, width),
        Plot.tip(rows, Plot.pointerX({ x: "x", y: "y", ...tip, title: (r) => told(width, r.name, `${formats[chart.x.unit](isTime(chart.x) ? r.x / 1000 : r.x)}: ${formats[chart.y.unit](r.y)}`, range(chart.y.unit, r)) })),
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
        ...events(chart, width),
        Plot.tip(rows, Plot.pointerX(Plot.stackY({ offset: "normalize", order: names }, { x: "x", y: "y", z: "name", ...tip, title: (r) => told(width, r.name, formats.percent(r.y / (whole.get(+r.x) || 1)), formats[chart.x.unit](isTime(chart.x) ? r.x / 1000 : r.x)) }))),
      ],
    }));
  };

  // Rows with names: beside them where there is room, else above each of them; in either case whole.
  const named = (names, width) => {
    const room = Math.min(d3.max(names, (name) => wide(name)) || 30, 0.36 * width), beside = names.map((name) => parted(name, room));
    const above = d3.max(beside, (part) => part.length) > 2, texts = above ? names.map((name) => parted(name, width - 12)) : beside;
    const most = d3.max(texts, (part) => part.length) || 1, text = new Map(names.map((name, i) => [name, texts[i].join("\n")]));
    return {
      height: (above ? 26 : 12) + 14 * most, above, options: above ? { axis: null } : { label: null, tickSize: 0, tickFormat: (name) => text.get(name) },
      marginLeft: above ? 6 : room + 16, marks: above ? [Plot.text(names, { y: (name) => name, frameAnchor: "left", textAnchor: "start", lineAnchor: "bottom", dy: -9, text: (name) => text.get(name), fill: "var(--ink)", ...halo })] : [],
      inset: above ? { insetTop: 14 * most } : {},
    };
  };
  const reference = (chart) => chart.reference === null ? [] : [
    Plot.ruleX([chart.reference], { stroke: "var(--ink)", strokeDasharray: "4,3" }),
    (index, scales, values, dimensions, context) => {
      const parts = parted(chart.reference_label || "", dimensions.width - 8), group = svg(context, "g", { fill: "var(--quiet)" });
      parts.forEach((part, i) => {
        const half = wide(part) / 2, x = Math.min(Math.max(scales.x(chart.reference), half + 2), dimensions.width - half - 2);
        group.append(svg(context, "text", { x, y: 12 + 14 * i, "text-anchor": "middle" }, part));
      });
      return group;
    },
  ];
  const headroom = (chart, width) => 8 + 14 * parted(chart.reference_label || "", width - 8).length;

  // What lies beyond the axis: an arrow at its end, with the value where that is what lies beyond.
  const beyond = (chart) => {
    const { low, high, unit } = chart.x;
    if (low === null || high === null) return [];
    const arrows = chart.rows.filter((row) => row.value !== null).flatMap((row) => [
      ...(row.value < low || (row.value <= high && row.low !== null && row.low < low) ? [{ ...row, x: low, text: row.value < low ? `\u25c2 ${formats[unit](row.value)}` : "\u25c2" }] : []),
      ...(row.value > high || (row.value >= low && row.high !== null && row.high > high) ? [{ ...row, x: high, text: row.value > high ? `${formats[unit](row.value)} \u25b8` : "\u25b8" }] : []),
    ]);
    return ["start", "end"].map((textAnchor) => Plot.text(arrows.filter((arrow) => (arrow.x === low) === (textAnchor === "start")), { y: "name", x: "x", text: "text", textAnchor, fill: (arrow) => arrow.color, fontWeight: 600 }));
  };

  const intervals = (chart, width) => {
    const rows = named(chart.rows.map((row) => row.name), width), top = headroom(chart, width), { low, high, unit } = chart.x;
    const inside = (row) => row.value !== null && (low === null || high === null || (row.value >= low && row.value <= high));
    return Plot.plot(common(width, chart, {
      height: top + 36 + rows.height * chart.rows.length, marginTop: top, marginLeft: rows.marginLeft, x: scale(chart.x), y: { domain: chart.rows.map((row) => row.name), ...rows.options, ...rows.inset },
      marks: [
        ...reference(chart), ...rows.marks,
        Plot.ruleY(chart.rows.filter((row) => inside(row) && row.low !== null && row.high !== null), { y: "name", x1: "low", x2: "high", stroke: (row) => row.color, strokeWidth: 2.5, clip: true }),
        ...beyond(chart),
        Plot.dot(chart.rows.filter(inside), { y: "name", x: "value", r: 5, stroke: (row) => row.color, strokeWidth: 1.6, fill: (row) => row.hollow ? "var(--card)" : row.color,
          title: (row) => told(width, row.name, formats[unit](row.value), range(unit, row), row.note), tip }),
      ],
    }));
  };

  const bars = (chart, width) => {
    const rows = named(chart.bars.map((bar) => bar.name), width), top = headroom(chart, width), half = 0.45 * rows.height;
    return Plot.plot(common(width, chart, {
      height: top + 36 + rows.height * chart.bars.length, marginTop: top, marginLeft: rows.marginLeft, x: scale(chart.x), y: { domain: chart.bars.map((bar) => bar.name), ...rows.options },
      marks: [
        Plot.barX(chart.bars, { y: "name", x: "value", fill: (bar) => bar.color, rx: 2, insetTop: half - (rows.above ? 2 : 7), insetBottom: half - (rows.above ? 12 : 7), title: (bar) => told(width, bar.name, formats[chart.x.unit](bar.value), bar.note), tip }),
        ...reference(chart), ...rows.marks,
      ],
    }));
  };

  const histogram = (chart, width) => {
    const bins = chart.counts.map((count, i) => ({ low: chart.edges[i], high: chart.edges[i + 1], count }));
    return Plot.plot(common(width, chart, {
      x: scale(chart.x, { grid: false }, width), y: { label: null, grid: true, ticks: 4 },
      marks: [Plot.rectY(bins, { x1: "low", x2: "high", y: "count", fill: chart.color, inset: 0.5, title: (bin) => `${formats[chart.x.unit](bin.low)} to ${formats[chart.x.unit](bin.high)}: ${formats.count(bin.count)}`, tip }),
        ...(chart.reference === null || chart.reference === undefined ? [] : [Plot.ruleX([chart.reference], { stroke: "var(--ink)", strokeDasharray: "4,3" })]), Plot.ruleY([0], { stroke: "var(--line)" })],
    }));
  };

  // Names beside their dots where they meet neither each other nor a dot, nor a line if that can be: the first free place.
  const beside = (chart) => (index, scales, values, dimensions, context) => {
    const group = svg(context, "g", { class: "names", "font-weight": 600, "text-anchor": "start" }), at = (p) => [scales.x(place(chart.x, p.x)), scales.y(place(chart.y, p.y))];
    const dots = chart.points.map(at), taken = dots.filter((dot, i) => !chart.points[i].faint && (!chart.bare || chart.points[i].labelled)).map(([x, y]) => [x - 5, y - 5, x + 5, y + 5]);
    const crossed = chart.lines.flatMap((s) => d3.pairs(s.x.map((x, i) => at({ x, y: s.y[i] }))).flatMap(([[x, y], [X, Y]]) => d3.range(0, 1, 6 / Math.max(Math.hypot(X - x, Y - y), 6)).map((t) => [x + t * (X - x), y + t * (Y - y)])));
    const free = ([l, t, r, b]) => l >= dimensions.marginLeft && r <= dimensions.width && t >= 0 && b <= dimensions.height - dimensions.marginBottom + 4 && !taken.some(([L, T, R, B]) => l < R && r > L && t < B && b > T);
    const clear = ([l, t, r, b]) => !crossed.some(([x, y]) => x > l && x < r && y > t && y < b);
    chart.points.forEach((point, i) => {
      if (!point.labelled || point.faint || !point.name || !Number.isFinite(dots[i][0]) || !Number.isFinite(dots[i][1])) return;
      const [x, y] = dots[i], w = wide(point.name, true) + 2, h = 13;
      const spots = [[9, -h / 2], [-9 - w, -h / 2], [-w / 2, -h - 7], [-w / 2, 8], [8, -h - 5], [8, 6], [-8 - w, -h - 5], [-8 - w, 6], [-w / 2, -h - 22], [-w / 2, 22], [26, -h - 16], [26, 14], [-26 - w, -h - 16], [-26 - w, 14]].map(([dx, dy]) => [x + dx, y + dy, x + dx + w, y + dy + h]).filter(free);
      const spot = spots.find(clear) || spots[0];
      if (!spot) return;
      taken.push(spot);
      chart.written.add(point.name);
      // On a map names lie over dots that have none, with paper around their letters.
      const halo = chart.bare ? { stroke: "var(--card)", "stroke-width": 4, "stroke-linejoin": "round", "paint-order": "stroke" } : {};
      group.append(svg(context, "text", { x: spot[0], y: spot[1] + 10, fill: point.color, ...halo }, point.name));
    });
    return group;
  };

  const scatter = (chart, width) => {
    const at = { x: (p) => place(chart.x, p.x), y: (p) => place(chart.y, p.y) };
    const paths = chart.lines.flatMap((s) => s.x.map((x, i) => ({ name: s.name, color: s.color, dash: s.dash || (s.dashed ? "4,3" : null), x: place(chart.x, x), y: numeric(s.y[i]) })));
    const said = (p) => told(width, p.name, p.group, !chart.bare && `${formats[chart.x.unit](p.x)}, ${formats[chart.y.unit](p.y)}`);
    return Plot.plot(common(width, chart, {
      x: chart.bare ? { axis: null } : scale(chart.x, {}, width), y: chart.bare ? { axis: null } : scale(chart.y), inset: chart.bare ? 10 : 6,
      ...(chart.bare ? { marginLeft: 4, marginBottom: 4, marginRight: 4 } : margins(chart, chart.points.map((p) => p.y))), symbol: { type: "identity" },
      marks: [
        ...dashedLines(paths, {}),
        Plot.dot(chart.points.filter((p) => p.faint), { ...at, fill: (p) => p.color, fillOpacity: 0.3, r: 2.5 }),
        Plot.dot(chart.points.filter((p) => !p.faint), { ...at, fill: (p) => p.color, fillOpacity: chart.bare ? 0.75 : 1, stroke: "var(--card)", strokeWidth: 0.7, r: chart.bare ? 4 : 5.5, symbol: (p) => p.shape, href: (p) => p.href || null, title: said, tip }),
        beside(chart),
      ],
    }));
  };

  const kinds = { lines, shares, intervals, bars, histogram, scatter };

  const draw = (plot) => {
    const width = Math.round(plot.getBoundingClientRect().width), drawn = `${width} ${plot.dataset.chart}`;
    if (width < 40 || (plot.drawn === drawn && plot.firstChild)) return;
    const chart = { ...JSON.parse(plot.dataset.chart), written: new Set() };
    const drawing = kinds[chart.kind](chart, width);
    drawing.querySelectorAll("style").forEach((style) => style.remove());  // style.css has its rules: a page allows no others
    // The figure says in a sentence and in a table what is drawn: a screen reader is spared the strokes.
    drawing.setAttribute("aria-hidden", "true");
    drawing.querySelectorAll("[aria-label]").forEach((part) => part.removeAttribute("aria-label"));
    // What is a picture to a screen reader holds no links: a dot that leads somewhere does so for the pointer.
    drawing.querySelectorAll("a").forEach((link) => {
      const to = link.getAttribute("href") || link.getAttribute("xlink:href"), part = svg({ document }, "g", { class: "leads" });
      part.append(...link.childNodes);
      part.addEventListener("click", () => location.assign(to));
      link.replaceWith(part);
    });
    plot.replaceChildren(drawing);
    plot.parentElement.querySelectorAll(":scope > .legend li").forEach((item) => { item.hidden = chart.written.has(item.textContent.trim()); });
    plot.drawn = drawn;
  };
  const drawAll = (root) => root.querySelectorAll(".plot[data-chart]").forEach((plot) => { draw(plot); resized.observe(plot); });
  const resized = new ResizeObserver((entries) => entries.forEach((entry) => draw(entry.target)));

  document.addEventListener("DOMContentLoaded", () => drawAll(document));
  document.addEventListener("htmx:afterSwap", () => drawAll(document));
  document.addEventListener("toggle", (event) => drawAll(event.target), true);
  if (document.readyState !== "loading") drawAll(document);
})();
