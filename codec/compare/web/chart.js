"use strict";
// A line plot: values on hover or by arrow keys, curves switched on and off by a legend.

const COLOURS = 7;

function svg(kind, attributes, parent, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

// round numbers between low and high, about `count` of them
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const result = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) result.push(i * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return result.map((value) => [value, value.toFixed(digits)]);
}

// series: {name, published or dashed, colour, points: [[x, y, tip], ...]}; hidden names stay hidden when drawn anew
class Chart {
  constructor(box, title) {
    this.box = box;
    this.hidden = new Set();
    this.legend = Object.assign(document.createElement("div"), { className: "legend" });
    this.plot = svg("svg", { tabindex: 0, role: "img", "aria-label": title }, box);
    this.tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
    this.tip.setAttribute("role", "status");
    box.append(this.tip);
    box.before(this.legend);
    this.plot.addEventListener("pointermove", (event) => this.hover(event));
    this.plot.addEventListener("pointerdown", (event) => this.hover(event));
    this.plot.addEventListener("pointerleave", () => this.select(null));
    this.plot.addEventListener("blur", () => this.select(null));
    this.plot.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  show(series, xLabel, yLabel) {
    Object.assign(this, { series, xLabel, yLabel, at: null });
    this.legend.replaceChildren(...series.map((one) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: one.name });
      button.classList.toggle("dashed", Boolean(one.published || one.dashed));
      button.style.setProperty("--colour", `var(--c${one.colour % COLOURS})`);
      button.setAttribute("aria-pressed", !this.hidden.has(one.name));
      button.addEventListener("click", () => {
        if (!this.hidden.delete(one.name)) this.hidden.add(one.name);
        button.setAttribute("aria-pressed", !this.hidden.has(one.name));
        this.draw();
      });
      return button;
    }));
    this.draw();
  }

  draw() {
    if (!this.series) return;
    const width = Math.max(280, this.box.clientWidth);
    const height = Math.round(Math.min(460, Math.max(260, width * 0.55)));
    const margin = { left: 48, right: 14, top: 10, bottom: 40 };
    this.plot.replaceChildren();
    this.plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.shown = this.series.filter((one) => !this.hidden.has(one.name) && one.points.length);
    this.select(null);
    const all = this.shown.flatMap((one) => one.points);
    if (!all.length) {
      svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, this.plot, "nothing is switched on");
      return;
    }
    const range = (axis) => {
      const values = all.map((point) => point[axis]);
      const low = Math.min(...values), high = Math.max(...values);
      const room = 0.04 * (high - low) || 1;
      return [low - room, high + room];
    };
    const [xLow, xHigh] = range(0), [yLow, yHigh] = range(1);
    this.x = (value) => margin.left + ((value - xLow) / (xHigh - xLow)) * (width - margin.left - margin.right);
    this.y = (value) => height - margin.bottom - ((value - yLow) / (yHigh - yLow)) * (height - margin.top - margin.bottom);
    for (const [value, text] of ticks(xLow, xHigh, width / 90)) {
      svg("line", { class: "grid", x1: this.x(value), x2: this.x(value), y1: margin.top, y2: height - margin.bottom }, this.plot);
      svg("text", { x: this.x(value), y: height - margin.bottom + 16, "text-anchor": "middle" }, this.plot, text);
    }
    for (const [value, text] of ticks(yLow, yHigh, height / 60)) {
      svg("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: this.y(value), y2: this.y(value) }, this.plot);
      svg("text", { x: margin.left - 6, y: this.y(value) + 4, "text-anchor": "end" }, this.plot, text);
    }
    svg("text", { x: (width + margin.left) / 2, y: height - 6, "text-anchor": "middle" }, this.plot, this.xLabel);
    svg("text", { transform: `translate(12 ${height / 2}) rotate(-90)`, "text-anchor": "middle" }, this.plot, this.yLabel);
    for (const one of this.shown) {
      const colour = `var(--c${one.colour % COLOURS})`;
      const group = svg("g", { class: one.published ? "series published" : one.dashed ? "series dashed" : "series", "data-name": one.name }, this.plot);
      const path = one.points.map(([x, y], i) => `${i ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`).join("");
      svg("path", { class: "curve", d: path, style: `stroke: ${colour}` }, group);
      // colours come round: later curves have larger points
      const radius = one.points.length > 30 ? 0 : 2.5 + 1.5 * Math.floor(one.colour / COLOURS);
      for (const [x, y] of one.points) {
        const look = one.published ? `stroke: ${colour}` : `fill: ${colour}; stroke: ${colour}`;
        if (radius) svg("circle", { cx: this.x(x), cy: this.y(y), r: radius, style: look }, group);
      }
    }
    this.ring = svg("circle", { r: 6, fill: "none", stroke: "var(--ink)", "stroke-width": 2, visibility: "hidden" }, this.plot);
  }

  hover(event) {
    const frame = this.plot.getBoundingClientRect();
    let best = null, least = 40 ** 2;
    this.shown.forEach((one, s) => one.points.forEach(([x, y], p) => {
      const distance = (this.x(x) - event.clientX + frame.left) ** 2 + (this.y(y) - event.clientY + frame.top) ** 2;
      if (distance < least) [best, least] = [[s, p], distance];
    }));
    this.select(best);
  }

  key(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step || !this.shown.length) return;
    event.preventDefault();
    if (!this.at) return this.select([0, 0]);
    const s = (this.at[0] + step[0] + this.shown.length) % this.shown.length;
    this.select([s, Math.min(this.shown[s].points.length - 1, Math.max(0, this.at[1] + step[1]))]);
  }

  select(at) {
    this.at = at;
    this.tip.hidden = !at;
    if (this.ring) this.ring.setAttribute("visibility", at ? "visible" : "hidden");
    if (!at) return;
    const one = this.shown[at[0]], [x, y, text] = one.points[at[1]];
    this.ring.setAttribute("cx", this.x(x));
    this.ring.setAttribute("cy", this.y(y));
    this.tip.textContent = `${one.name}${one.published ? " (published)" : ""}\n${text}`;
    const left = this.x(x) + 12, room = this.box.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, left > room ? this.x(x) - this.tip.offsetWidth - 12 : left)}px`;
    this.tip.style.top = `${Math.max(0, this.y(y) - this.tip.offsetHeight - 8)}px`;
  }
}
